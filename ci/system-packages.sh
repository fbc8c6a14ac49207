#!/bin/sh
# Installs what a headless Debian or Ubuntu lacks to run napari: a virtual screen, OpenGL and Qt's libraries.
# Where it may not, it says the one line to type and goes on.
[ "$(uname -s)" = Linux ] && command -v dpkg-query >/dev/null || exit 0

glib=libglib2.0-0
apt-cache show libglib2.0-0t64 >/dev/null 2>&1 && glib=libglib2.0-0t64
packages="xvfb xauth libgl1 libegl1 $glib libdbus-1-3 libfontconfig1 libxkbcommon-x11-0 libxcb-cursor0
          libxcb-icccm4 libxcb-keysyms1 libxcb-shape0"
missing=
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=sudo
else
    echo "napari needs packages that are not installed. Please type:"
    echo "    sudo apt-get install$missing"
    exit 0
fi
echo "installing$missing"
{ $as_root apt-get -qq update && DEBIAN_FRONTEND=noninteractive $as_root apt-get -qq -y install $missing; } \
    >/dev/null 2>&1 || { echo "that failed. Please type:"; echo "    apt-get update && apt-get install$missing"; }
exit 0
