#!/usr/bin/env bash
# usage: .ci/get-python.sh DEST VERSION...        e.g. .ci/get-python.sh ~/.cache/pythons 3.14 3.15
#
# Unpack CPython from Debian's packages into DEST/VERSION, installing nothing on the machine, and print
# the folder of each interpreter, one a line. Every version lives with its own C library, so that it runs on an older
# system. A version that is already there is left alone, at the cost of starting it once.
# Needs apt-get, dpkg-deb and a Debian mirror in the machine's apt sources; root is not needed.
set -euo pipefail

fail() { echo "get-python: $*" >&2; exit 1; }
[ $# -ge 2 ] || fail "usage: get-python.sh DEST VERSION..."
mkdir -p "$1"
dest=$(cd "$1" && pwd)
shift

interpreter() { echo "$dest/$1/usr/bin/python$1"; }
works() { [ -x "$(interpreter "$1")" ] && [ "$("$(interpreter "$1")" -c \
    'import sys, sqlite3, ssl, zlib; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$1" ]; }
suite_with() { case $1 in 3.11) echo bookworm ;; *) echo forky ;; esac; }

# The mirror that the machine already uses; its name appears only once its lists have been fetched.
mirror() {
    apt-get "$@" indextargets --format "\$(REPO_URI) \$(ORIGIN) \$(LABEL)" "Created-By: Packages" |
        awk '$2 == "Debian" && $3 == "Debian" {print $1; exit}'
}

fetch() {
    local version=$1 work=$2 uri
    mkdir -p "$work"/{host,state}/lists/partial "$work"/{host-cache,cache}/archives/partial "$work/root"
    uri=$(mirror)
    if [ -z "$uri" ]; then
        local own=(-o "Dir::State=$work/host" -o "Dir::Cache=$work/host-cache" -o APT::Sandbox::User=root)
        apt-get -qq "${own[@]}" update >&2
        uri=$(mirror "${own[@]}")
    fi
    [ -n "$uri" ] || fail "no Debian mirror among the apt sources of this machine"

    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $(suite_with "$version") main" \
        >"$work/sources.list"
    : >"$work/status"                       # nothing counts as installed: every library comes along
    local apt=(apt-get -qq -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=-
        -o "Dir::State=$work/state" -o "Dir::State::status=$work/status" -o "Dir::Cache=$work/cache"
        -o APT::Sandbox::User=root -o APT::Install-Recommends=0 -o Acquire::Languages=none -o Acquire::Retries=3)
    "${apt[@]}" update >&2
    "${apt[@]}" -y --download-only install "python$version" patchelf >&2 ||
        fail "$(suite_with "$version") has no python$version; install it by hand"
    for package in "$work"/cache/archives/*.deb; do dpkg-deb -x "$package" "$work/root"; done
}

# Older packages still write to /lib: fold that into /usr, as the packages' own install scripts would.
merge_usr() {
    for folder in lib lib64 bin sbin; do
        [ -d "$1/$folder" ] && [ ! -L "$1/$folder" ] || continue
        mkdir -p "$1/usr/$folder"
        cp -an "$1/$folder/." "$1/usr/$folder/"
        rm -rf "${1:?}/$folder"
    done
}

# Let the interpreter load its own C library from its final place; patchelf runs on that library, too.
relocate() {
    local root=$1 version=$2 python=$1/usr/bin/python$2 libraries loader
    libraries=$(basename "$(dirname "$(find "$root/usr/lib" -name 'libc.so.6' | head -n 1)")")
    patch() { "$root/usr/$loader" --library-path "$root/usr/lib/$libraries" "$root/usr/bin/patchelf" "$@"; }
    loader=$(cd "$root/usr" && find lib lib64 -name 'ld-linux*.so.*' 2>/dev/null | head -n 1)
    loader=$(patch --print-interpreter "$python" | sed 's,^/,,')
    patch --force-rpath --set-rpath "$dest/$version/usr/lib/$libraries" "$python"
    patch --set-interpreter "$dest/$version/usr/$loader" "$python"      # last: patchelf 0.18 breaks the file otherwise
}

install_one() {
    local version=$1
    work=$(mktemp -d "$dest/.new-$version.XXXXXX")      # not local: the trap outlives the function
    trap 'rm -rf "$work"' EXIT
    fetch "$version" "$work"
    merge_usr "$work/root"
    relocate "$work/root" "$version"
    rm -rf "${dest:?}/$version"
    mv "$work/root" "$dest/$version"
    works "$version" || fail "python$version was unpacked but does not start"
    # The packages carry no bytecode; without it every start would compile the standard library again.
    "$(interpreter "$version")" -m compileall -q -j 0 "$dest/$version/usr/lib/python$version" >&2 || true
}

exec 9>"$dest/.lock"
if command -v flock >/dev/null; then flock 9; fi     # two runs at once: the second finds the work done
for version; do
    if ! works "$version"; then
        command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
            fail "python$version is missing and this is no Debian machine; install it by hand"
        (install_one "$version")
    fi
    dirname "$(interpreter "$version")"
done
