#!/usr/bin/env bash
# usage: .ci/get-browser.sh DEST        e.g. .ci/get-browser.sh ~/.cache/browser
#
# Find Chromium and its driver on PATH, or unpack them from Debian's packages into DEST, installing nothing on the
# machine, and print the folder that holds "chromium" and "chromedriver". What is there already is left alone, at the
# cost of starting it once. Where the unpacked browser does not start, and this is root, it is installed instead.
# Needs apt-get, dpkg-deb and a Debian mirror in the machine's apt sources.
set -euo pipefail

fail() { echo "get-browser: $*" >&2; exit 1; }
[ $# = 1 ] || fail "usage: get-browser.sh DEST"
mkdir -p "$1"
dest=$(cd "$1" && pwd)

# Both start, and are of one version: a driver refuses another browser.
version_of() { "$1" --version 2>/dev/null | grep -oE '[0-9]+(\.[0-9]+){3}' | head -n 1; }
works() {
    local browser driver
    [ -x "$1/chromium" ] && [ -x "$1/chromedriver" ] || return 1
    browser=$(version_of "$1/chromium") && driver=$(version_of "$1/chromedriver") || return 1
    [ -n "$browser" ] && [ "$browser" = "$driver" ]
}

on_path() {
    local folder
    folder=$(command -v chromedriver) && folder=$(dirname "$folder") && works "$folder" && echo "$folder"
}

# The lists of this machine's own sources, fetched into a folder of ours: they name the mirror and its suite.
fetch() {
    local work=$1
    mkdir -p "$work"/state/lists/partial "$work"/cache/archives/partial "$work/root"
    local apt=(apt-get -qq -o "Dir::State=$work/state" -o "Dir::State::status=$2" -o "Dir::Cache=$work/cache"
        -o APT::Sandbox::User=root -o APT::Install-Recommends=0 -o Acquire::Languages=none -o Acquire::Retries=3)
    "${apt[@]}" update >&2
    "${apt[@]}" -y --download-only install chromium chromium-driver fonts-dejavu-core >&2 ||
        fail "the apt sources of this machine have no chromium; install chromium and chromium-driver by hand"
    for package in "$work"/cache/archives/*.deb; do dpkg-deb -x "$package" "$work/root"; done
}

# A start script for each, which finds the libraries that came along before those of the machine.
wrap() {
    local name=$1 program=$2
    cat >"$dest/browser/$name" <<SCRIPT
#!/bin/sh
root=$dest/browser/root
libraries=\$(find "\$root/usr/lib" "\$root/lib" -type d -path '*-linux-gnu*' 2>/dev/null | tr '\n' ':')
export LD_LIBRARY_PATH="\$libraries\${LD_LIBRARY_PATH:-}" XDG_DATA_DIRS="\$root/usr/share:\${XDG_DATA_DIRS:-/usr/local/share:/usr/share}"
[ -e /etc/fonts/fonts.conf ] || export FONTCONFIG_PATH="\$root/etc/fonts" FONTCONFIG_SYSROOT="\$root"
exec "\$root/$program" "\$@"
SCRIPT
    chmod +x "$dest/browser/$name"
}

unpack() {
    work=$(mktemp -d "$dest/.new.XXXXXX")           # not local: the trap outlives the function
    trap 'rm -rf "$work"' EXIT
    fetch "$work" /var/lib/dpkg/status              # what is installed, the C library above all, need not come along
    rm -rf "${dest:?}/browser"
    mkdir "$dest/browser"
    mv "$work/root" "$dest/browser/root"
    wrap chromium usr/lib/chromium/chromium
    wrap chromedriver usr/bin/chromedriver
}

exec 9>"$dest/.lock"
if command -v flock >/dev/null; then flock 9; fi     # two runs at once: the second finds the work done
if on_path; then exit 0; fi
if ! works "$dest/browser"; then
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
        fail "there is no Chromium, and this is no Debian machine; install chromium and its driver by hand"
    (unpack) || true
fi
if works "$dest/browser"; then
    echo "$dest/browser"
    exit 0
fi
[ "$(id -u)" = 0 ] || fail "chromium was unpacked but does not start; install chromium and chromium-driver"
echo "get-browser: chromium was unpacked but does not start, installing it" >&2
apt-get -qq update >&2
DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends chromium chromium-driver >&2
on_path || fail "chromium was installed but does not start"
