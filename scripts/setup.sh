#!/usr/bin/env bash
# Installs what a purpose needs on Debian 12 or Ubuntu 24.04: scripts/setup.sh PURPOSE...
# Purposes: build, test, demo, fuzz, format, tidy. As root or with passwordless sudo it installs
# what is missing; otherwise it prints the line to run and exits with 1. On other systems it only
# says what it would look for, and leaves the verdict to CMake.
set -euo pipefail

packages_for() {
    case "$1" in
    build)
        echo gcc binutils libc6-dev make cmake ninja-build pkg-config libdnnl-dev libhwloc-dev \
            libyaml-dev libjansson-dev libxxhash-dev zlib1g-dev
        ;;
    test) echo python3 libcriterion-dev dataset-fashion-mnist ;;
    demo) echo python3 dataset-fashion-mnist ;;
    fuzz) echo clang ;;
    format) echo clang-format git ;;
    tidy) echo clang-tidy git ;;
    *)
        echo "setup.sh: what is '$1'? Purposes: build test demo fuzz format tidy" >&2
        exit 2
        ;;
    esac
}

is_installed() {
    # `dpkg -s` is also content with a package that was removed and left its configuration behind.
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

[ $# -gt 0 ] || set -- build test demo
wanted=()
for purpose in "$@"; do
    list=$(packages_for "$purpose")
    read -r -a names <<<"$list"
    wanted+=("${names[@]}")
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "setup.sh: no apt here; these Debian packages, or their like, are needed: ${wanted[*]}" >&2
    exit 0
fi

missing=()
for package in "${wanted[@]}"; do
    is_installed "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

install="apt-get install -y --no-install-recommends ${missing[*]}"
if [ "$(id -u)" = 0 ]; then
    as_root=()
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=(sudo -n)
else
    echo "Some packages are missing. Please run this line, then try again:" >&2
    echo "    sudo apt-get update && sudo $install" >&2
    exit 1
fi

echo "Installing: ${missing[*]}"
# A list that can't be refreshed may still be good enough.
"${as_root[@]}" apt-get update -qq || true
if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; then
    echo "setup.sh: this line failed: $install" >&2
    echo "On Ubuntu some of these are in 'universe': sudo add-apt-repository universe" >&2
    exit 1
fi
