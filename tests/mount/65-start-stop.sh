#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Start, readiness, the second daemon, every way to stop, mount -t fuse.znodefs.
# limit: 60
. "$(dirname "$0")/lib.sh"
need python3
cd "$ZN_DIR" || exit 1

# --- in the background: the command returns when the mount answers
"$ZNODEFS" -o segment_size=4M "$STATE" "$MNT" </dev/null >"$WORK/out" 2>&1
equal "the command returns with 0" 0 $?
equal "and says nothing" "" "$(cat "$WORK/out")"
check "the mount answers at once" grep -q . "$MNT/.znodefs/stats"
check "and takes a value" bash -c "echo one >'$MNT/value'"
DAEMON_BG=$(pgrep -f -- "^$ZNODEFS -o segment_size=4M $STATE $MNT\$" | head -n 1)
check "the daemon is found" test -n "$DAEMON_BG"
started "$DAEMON_BG"
equal "it is a session leader, free of the terminal" "$DAEMON_BG" "$(ps -o sid= -p "$DAEMON_BG" | tr -d ' ')"
equal "it holds no directory but its own" 1 "$(readlink "/proc/$DAEMON_BG/cwd" | grep -c -e '^/$' -e "^$STATE\$")"

# --- a second daemon
mkdir "$ZN_DIR/mnt2"
said=$("$ZNODEFS" "$STATE" "$ZN_DIR/mnt2" 2>&1 </dev/null)
equal "a second daemon on the same state directory: exit status" 1 $?
check "it names the pid of the holder" grep -qw "$DAEMON_BG" <<<"$said"
check "and the directory" grep -qF "$STATE" <<<"$said"
echo "  it says: $said"
check "the first goes on" grep -q one "$MNT/value"
"$ZNODEFS" -o segment_size=4M "$ZN_DIR/state2" "$ZN_DIR/mnt2" </dev/null
equal "another state directory at another place is welcome" 0 $?
check "both answer" grep -q . "$ZN_DIR/mnt2/.znodefs/stats" "$MNT/.znodefs/stats"
unmount "$ZN_DIR/mnt2"

ended() { ! alive "$DAEMON_BG"; }
if command -v fusermount3 >/dev/null; then
	check "fusermount3 -u" fusermount3 -u "$MNT"
else
	check "umount" umount "$MNT"
fi
check "ends the daemon" wait_for 10 ended

# --- signals
for signal in TERM INT HUP; do
	mount_znodefs || exit 1
	check "the value is there" grep -q one "$MNT/value"
	pid=$DAEMON
	kill -$signal "$pid"
	wait "$pid"
	equal "SIG$signal ends it with status" 0 $?
	DAEMON=
	refuse "SIG$signal: and unmounts" mounted
done

# --- a stop under load loses nothing that was acknowledged
mount_znodefs || exit 1
(
	# From inside, so that it never writes to the directory below the mount.
	cd "$MNT" || exit
	i=0
	while (echo $i >"n$i") 2>/dev/null; do
		echo $i
		i=$((i + 1))
	done
) >"$WORK/acknowledged" &
load=$!
started $load
wait_for 10 test -s "$WORK/acknowledged"
sleep 0.3
kill -TERM "$DAEMON"
wait "$DAEMON"
equal "SIGTERM under load: status" 0 $?
DAEMON=
mounted && umount -l "$MNT"
wait $load
mount_znodefs || exit 1
lost=0
while read -r i; do
	[ "$(cat "$MNT/n$i" 2>/dev/null)" = "$i" ] || lost=$((lost + 1))
done <"$WORK/acknowledged"
equal "SIGTERM under load: of $(wc -l <"$WORK/acknowledged") acknowledged values lost" 0 $lost

# --- unmounted while files are open elsewhere: busy, then lazily
exec 8>"$MNT/held"
refuse "a busy mount is not unmounted" umount "$MNT"
exec 8>&-
umount_znodefs

# --- a dead mount
mount_znodefs || exit 1
kill -9 "$DAEMON"
wait "$DAEMON" 2>/dev/null
DAEMON=
said=$("$ZNODEFS" -o segment_size=4M "$STATE" "$MNT" 2>&1 </dev/null)
equal "over a dead mount the start is refused: exit status" 1 $?
check "and the message names the place" grep -qF "$MNT" <<<"$said"
while mounted; do
	umount -l "$MNT" 2>/dev/null || fusermount3 -uz "$MNT"
done
mount_znodefs || exit 1
check "after umount -l it starts" grep -q one "$MNT/value"
umount_znodefs

# --- a daemon whose mount was detached leaves alone what is mounted there now
mount_znodefs || exit 1
first=$DAEMON first_state=$STATE
exec 8<"$MNT/value"
umount -l "$MNT"
STATE=$WORK/second
mount_znodefs || exit 1
echo second >"$MNT/second"
kill "$first"
first_ended() { ! alive "$first"; }
check "a detached daemon ends by SIGTERM" wait_for 20 first_ended
equal "and the mount that took its place stays" second "$(cat "$MNT/second")"
exec 8<&-
umount_znodefs
STATE=$first_state

# --- systemd's readiness protocol
python3 - "$ZNODEFS" "$STATE" "$MNT" "$WORK/notify" 2>>"$LOG" <<'END'
import os, signal, socket, subprocess, sys
sys.path.insert(0, os.environ["CASES"])
import zn
znodefs, state, mnt, path = sys.argv[1:]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(path)
s.settimeout(20 * int(os.environ["ZN_SLOW"]))
p = subprocess.Popen([znodefs, "-f", "-o", "segment_size=4M", state, mnt],
                     env=dict(os.environ, NOTIFY_SOCKET=path))
message = s.recv(4096).decode()
zn.check("NOTIFY_SOCKET gets READY=1", "READY=1" in message.split("\n"), message)
zn.check("at that time the mount answers", len(zn.read(mnt + "/.znodefs/stats")) > 0)
p.send_signal(signal.SIGTERM)
zn.equal("and it ends with", 0, p.wait(30))
s.setblocking(False)
rest = []
while True:
    try:
        rest += s.recv(4096).decode().split("\n")
    except BlockingIOError:
        break
zn.check("saying STOPPING=1", "STOPPING=1" in rest, rest)
END

# --- as mount(8) and fstab use it
if [ "$(id -u)" = 0 ] && command -v mount.fuse3 >/dev/null; then
	# mount(8) hides a private PATH from its helpers: first the helper as mount calls it, then mount
	# itself with the whole path as the type.
	mkdir "$ZN_DIR/bin"
	ln -s "$ZNODEFS" "$ZN_DIR/bin/znodefs"
	PATH=$ZN_DIR/bin:$PATH mount.fuse3 "$STATE" "$MNT" -o rw,segment_size=4M,allow_other,nosuid,_netdev \
		-t fuse.znodefs </dev/null >"$WORK/out" 2>&1
	equal "mount.fuse3 -t fuse.znodefs: exit status" 0 $?
	cat "$WORK/out"
	check "shows the values" grep -q one "$MNT/value"
	check "with the options given" grep -q " $MNT fuse.znodefs .*nosuid.*allow_other" /proc/self/mounts
	check "umount" umount "$MNT"
	# The daemon holds its lock for a moment longer.
	free() { flock -n "$STATE/lock" true; }
	wait_for 10 free
	check "mount -t fuse.PATH" mount -t "fuse.$ZNODEFS" -o segment_size=4M "$STATE" "$MNT"
	check "shows them too" grep -q one "$MNT/value"
	check "umount" umount "$MNT"
	check "and the daemon ends" wait_for 10 free
else
	echo "  mount -t fuse.znodefs not tried: no root or no mount.fuse3"
fi
