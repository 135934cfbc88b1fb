#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# nginx takes its configuration from the mount: a site is added with cp, nginx reloads and serves it.
# limit: 90
. "$(dirname "$0")/lib.sh"
NGINX=$(PATH=$PATH:/usr/sbin command -v nginx) || NGINX=$(realpath -m "$BUILD/nginx/usr/sbin/nginx")
[ -x "$NGINX" ] || skip "no nginx"
"$NGINX" -v >/dev/null 2>&1 || skip "nginx does not start: $("$NGINX" -v 2>&1 | head -n 1)"
need curl python3
mount_znodefs allow_other || exit 1

read -r port1 port2 < <(python3 -c '
import socket
s = [socket.socket(), socket.socket()]
for x in s: x.bind(("127.0.0.1", 0))
print(*(x.getsockname()[1] for x in s))')
conf=$MNT/etc/nginx
mkdir -p "$conf/conf.d" "$WORK/tmp" "$WORK/html" "$WORK/logs"
# Its workers are to reach the test's private directory.
user=
[ "$(id -u)" != 0 ] || user='user root;'
cat >"$conf/nginx.conf" <<END
$user
daemon off;
pid $WORK/nginx.pid;
error_log stderr notice;
worker_processes 1;
events { worker_connections 64; }
http {
	access_log off;
	client_body_temp_path $WORK/tmp/body;
	proxy_temp_path $WORK/tmp/proxy;
	fastcgi_temp_path $WORK/tmp/fastcgi;
	uwsgi_temp_path $WORK/tmp/uwsgi;
	scgi_temp_path $WORK/tmp/scgi;
	include $conf/conf.d/*.conf;
}
END
site() { printf 'server {\n\tlisten 127.0.0.1:%s;\n\tlocation / { return 200 "%s\\n"; }\n}\n' "$1" "$2"; }
site "$port1" one >"$conf/conf.d/one.conf"
nginx=("$NGINX" -e stderr -p "$WORK" -c "$conf/nginx.conf")
check "nginx accepts the configuration on the mount" "${nginx[@]}" -t
"${nginx[@]}" 2>"$WORK/nginx.log" &
master=$!
started $master
fetch() { curl -sS --max-time 5 "http://127.0.0.1:$1/"; }
answers_with() { [ "$(fetch "$1" 2>/dev/null)" = "$2" ]; }
check "it serves the first site" wait_for 10 answers_with "$port1" one

site "$port2" two >"$WORK/two.conf"
check "a site is added with cp" cp "$WORK/two.conf" "$conf/conf.d/two.conf"
check "nginx accepts it" "${nginx[@]}" -t
kill -HUP $master
check "after a reload the new site answers" wait_for 10 answers_with "$port2" two
check "and the first still does" answers_with "$port1" one
site "$port1" changed >"$conf/conf.d/one.conf"
kill -HUP $master
check "a rewritten site is served after the next reload" wait_for 10 answers_with "$port1" changed
mv "$conf/conf.d/two.conf" "$conf/conf.d/two.off"
kill -HUP $master
gone() { ! fetch "$port2"; }
check "a site that is moved away is gone" wait_for 10 gone
mkdir "$MNT/www"
head -c 300000 /dev/urandom >"$MNT/www/blob"
printf 'server {\n\tlisten 127.0.0.1:%s;\n\troot %s;\n}\n' "$port2" "$MNT/www" >"$conf/conf.d/three.conf"
kill -HUP $master
same_blob() { curl -s "http://127.0.0.1:$port2/blob" | cmp -s - "$MNT/www/blob"; }
check "a file of the mount is served whole" wait_for 10 same_blob
kill -QUIT $master
wait $master
equal "nginx ends with" 0 $?
refuse "without an error in its log" grep -E '\[(emerg|alert|crit|error)\]' "$WORK/nginx.log"
