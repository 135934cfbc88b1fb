#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# install-deps: installs the packages that are missing for the purposes named as arguments
# (build, test, lint). Says what it does; silent when all is there. Root, or through sudo.
set -u

# What is asked for, how to see that it is there, and its package for apt, dnf, pacman, zypper, apk.
# "-" means that the package before it (or the base system) brings it.
table() {
	cat <<'END'
build cmd:cc            gcc           gcc            gcc        gcc            gcc
build cmd:ld            binutils      binutils       binutils   binutils       binutils
build hdr:stdio.h       libc6-dev     glibc-devel    glibc      glibc-devel    musl-dev
build hdr:linux/fuse.h  linux-libc-dev kernel-headers linux-api-headers linux-glibc-devel linux-headers
build cmd:make          make          make           make       make           make
build cmd:pkg-config    pkg-config    pkgconf-pkg-config pkgconf pkg-config    pkgconf
build pkg:fuse3         libfuse3-dev  fuse3-devel    fuse3      fuse3-devel    fuse3-dev
build cmd:fusermount3   fuse3         fuse3          fuse3      fuse3          fuse3
build pkg:liburing      liburing-dev  liburing-devel liburing   liburing-devel liburing-dev
build pkg:libxxhash     libxxhash-dev xxhash-devel   xxhash     xxhash-devel   xxhash-dev
test  pkg:cmocka        libcmocka-dev libcmocka-devel cmocka    libcmocka-devel cmocka-dev
test  cmd:getfattr      attr          attr           attr       attr           attr
test  cmd:python3       python3       python3        python     python3        python3
test  cmd:curl          curl          curl           curl       curl           curl
test  cmd:mkfs.ext4     e2fsprogs     e2fsprogs      e2fsprogs  e2fsprogs      e2fsprogs
test  lib:asan          gcc           libasan        gcc        gcc            gcc
test  lib:ubsan         gcc           libubsan       gcc        gcc            gcc
test  lib:tsan          gcc           libtsan        gcc        gcc            gcc
lint  cmd:clang         clang         clang          clang      clang          clang
lint  cmd:clang-tidy    clang-tidy    clang-tools-extra clang   clang-tools    clang-extra-tools
lint  cmd:clang-format  clang-format  clang-tools-extra clang   clang-tools    clang-extra-tools
lint  cmd:cppcheck      cppcheck      cppcheck       cppcheck   cppcheck       cppcheck
lint  cmd:shellcheck    shellcheck    ShellCheck     shellcheck ShellCheck     shellcheck
lint  cmd:groff         groff         groff          groff      groff          groff
lint  cmd:systemd-analyze systemd     systemd        systemd    systemd        -
END
}

there() {
	case $1 in
	cmd:*) PATH=$PATH:/usr/sbin:/sbin command -v "${1#cmd:}" >/dev/null ;;
	pkg:*) pkg-config --exists "${1#pkg:}" 2>/dev/null ;;
	hdr:*) echo "#include <${1#hdr:}>" | cc -E - >/dev/null 2>&1 ;;
	lib:*) # the compiler prints a bare name for a library that it cannot find
		case $(cc -print-file-name="lib${1#lib:}.so" 2>/dev/null) in */*) true ;; *) false ;; esac ;;
	esac
}

manager() {
	local m
	for m in apt-get dnf pacman zypper apk; do
		if command -v "$m" >/dev/null; then
			echo "$m"
			return
		fi
	done
	echo none
}

# Prints the packages for the purposes "$@" whose mark is not there yet, one a line.
missing() {
	local purpose mark apt dnf pacman zypper apk
	while read -r purpose mark apt dnf pacman zypper apk; do
		case " $* " in *" $purpose "*) ;; *) continue ;; esac
		there "$mark" && continue
		case $MANAGER in
		apt-get) echo "$apt" ;;
		dnf) echo "$dnf" ;;
		pacman) echo "$pacman" ;;
		zypper) echo "$zypper" ;;
		apk) echo "$apk" ;;
		*) echo "$mark" ;;
		esac
	done < <(table) | grep -vx -e - | sort -u
}

as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		echo "install-deps: neither root nor sudo; run as root: $*" >&2
		return 1
	fi
}

# Only apt needs its list of packages fetched first, and only when what we want is not in it.
install_packages() {
	case $MANAGER in
	apt-get)
		local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120)
		if ! apt-get -s --no-install-recommends install "$@" >/dev/null 2>&1; then
			echo "install-deps: apt-get update"
			as_root "${apt[@]}" update || return
		fi
		as_root "${apt[@]}" --no-install-recommends install "$@" && return
		# The list may be older than the archive: once more with a fresh one.
		as_root "${apt[@]}" update &&
			as_root "${apt[@]}" --no-install-recommends install "$@"
		;;
	dnf) as_root dnf -y install "$@" ;;
	pacman) as_root pacman -S --needed --noconfirm "$@" ;;
	zypper) as_root zypper --non-interactive install "$@" ;;
	apk) as_root apk add "$@" ;;
	*)
		echo "install-deps: no package manager that this script knows; please install: $*" >&2
		return 1
		;;
	esac
}

# The nginx test wants the program, not a service that starts at each boot: on Debian the package is
# unpacked into the build directory. Without it that one test is skipped.
fetch_nginx() {
	local dir=${BUILD:-build}/nginx
	PATH=$PATH:/usr/sbin command -v nginx >/dev/null && return
	[ -x "$dir/usr/sbin/nginx" ] && return
	[ "$MANAGER" = apt-get ] && command -v dpkg-deb >/dev/null || return
	echo "install-deps: unpacking Debian's nginx into $dir (not installed)"
	mkdir -p "$dir" || return
	(cd "$dir" && apt-get -q -o APT::Sandbox::User=root download nginx && dpkg-deb -x nginx_*.deb . && rm -f nginx_*.deb) </dev/null ||
		echo "install-deps: could not fetch nginx, its test will be skipped"
}

main() {
	local packages
	MANAGER=$(manager)
	mapfile -t packages < <(missing "$@")
	if [ "${#packages[@]}" -gt 0 ]; then
		echo "install-deps: installing with $MANAGER: ${packages[*]}"
		install_packages "${packages[@]}" </dev/null || return 1
		mapfile -t packages < <(missing "$@")
		if [ "${#packages[@]}" -gt 0 ]; then
			echo "install-deps: still missing: ${packages[*]}" >&2
			return 1
		fi
	fi
	case " $* " in *" test "*) fetch_nginx ;; esac
	return 0
}

main "$@"
