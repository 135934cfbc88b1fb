#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A shell session as the README shows it; then a restart, and everything is as it was.
# limit: 60
. "$(dirname "$0")/lib.sh"
mount_znodefs || exit 1
cd "$MNT" || exit 1

check "mkdir -p" mkdir -p app/db app/web/sites
echo 10.0.0.7 >app/db/host
echo 5432 >app/db/port
equal "a value is read back" "10.0.0.7" "$(cat app/db/host)"
equal "ls lists the names" "host port" "$(cd app/db && echo *)"
printf 'server {\n}\n' >app/web/sites/one
printf 'line %d\n' {1..500} >app/web/lines
equal "a longer value keeps its size" "$(printf 'line %d\n' {1..500} | sha256sum)" \
	"$(sha256sum <app/web/lines)"
check "mv a file" mv app/db/port app/db/tcp_port
refuse "its old name is gone" test -e app/db/port
check "mv a directory" mv app/web app/www
equal "the tree moves along" "server {" "$(head -n 1 app/www/sites/one)"
equal "grep -r finds the one file" "app/db/host" "$(grep -rl 10.0.0.7 .| sed 's|^\./||')"
equal "find sees all files" 4 "$(find . -type f | wc -l)"
check "a hard link" ln app/db/host app/db/primary
equal "has two names" 2 "$(stat -c %h app/db/host)"
equal "for one node" "$(stat -c %i app/db/host)" "$(stat -c %i app/db/primary)"
echo 10.0.0.8 >app/db/primary
equal "a value written through one name is read through the other" 10.0.0.8 "$(cat app/db/host)"
check "a symlink" ln -s ../db/host app/www/upstream
equal "leads to its target" 10.0.0.8 "$(cat app/www/upstream)"
echo appended >>app/db/host
equal "echo >> appends" "10.0.0.8 appended" "$(tr '\n' ' ' <app/db/host | sed 's/ $//')"
check "chmod" chmod 640 app/db/tcp_port
check "touch -d" touch -d '2020-02-03 04:05:06.123456789 UTC' app/db/tcp_port
equal "times are kept to the nanosecond" 1580702706.123456789 "$(date -r app/db/tcp_port +%s.%N)"
check "a fifo" mkfifo app/fifo
check "a user attribute" setfattr -n user.owner -v 'the team' app/db/host
check "on a directory too" setfattr -n user.note -v dir app/db
if [ "$(id -u)" = 0 ]; then
	check "chown" chown 1234:4321 app/db/tcp_port
	check "a character device" mknod app/null c 1 3
	check "a block device" mknod app/disk b 7 200
fi
check "cp -a of a tree" cp -a app copy
check "the copy is the same" diff -r --no-dereference app/db copy/db
equal "with its mode and time" "$(stat -c '%a %y' app/db/tcp_port)" "$(stat -c '%a %y' copy/db/tcp_port)"
equal "and its attribute" "the team" "$(getfattr --only-values -n user.owner copy/db/host)"
check "rm -r" rm -r copy/www
refuse "removes it" test -e copy/www
check "sed -i" sed -i s/5432/5433/ app/db/tcp_port
equal "replaces the file" 5433 "$(cat app/db/tcp_port)"
echo first >app/www/lines
equal "a rewrite is shorter" first "$(cat app/www/lines)"
: >app/empty
mkdir app/nothing
touch -d '2001-01-01 UTC' app/nothing

# All that stat shows but atime (find reads nothing here, but a later kernel may) and the device.
picture() {
	find . -printf '%P %y %m %U %G %s %n %i %l %T@ %C@\n' | sort
	find . -type f -print0 | sort -z | xargs -0 sha256sum
	find . \( -type f -o -type d \) -print0 | sort -z | xargs -0 getfattr -d
	find . -type b -o -type c | sort | xargs -r stat -c '%n %t %T'
	find . -print0 | sort -z | while IFS= read -r -d '' f; do
		getfattr -h --only-values -n znode.stat "$f"
	done
}
picture >"$WORK/before"
cd "$ZN_DIR" || exit 1
restart "" || exit 1
cd "$MNT" || exit 1
picture >"$WORK/after"
check "after a restart everything is there, to the nanosecond and the zxid" \
	diff "$WORK/before" "$WORK/after"
equal "the picture is not empty" 1 "$(($(wc -l <"$WORK/after") > 100))"
cd "$ZN_DIR" || exit 1
kill_znodefs
mount_znodefs || exit 1
cd "$MNT" || exit 1
picture >"$WORK/after"
check "also after kill -9" diff "$WORK/before" "$WORK/after"
before=$(attr_of znode.mzxid app/db/host)
echo again >app/db/host
equal "zxids go on growing" 1 "$(($(attr_of znode.mzxid app/db/host) > before))"
check "rm -rf of everything" rm -rf -- *
equal "leaves nothing" "" "$(ls -A)"
cd "$ZN_DIR" || exit 1
