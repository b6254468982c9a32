#!/bin/sh
# Puts libtorch 2.11.0 into a cache folder outside the tree and prints the folder to give to LIBTORCH.
#
# libtorch is taken from the PyPI wheel `torch`, because that is the one packaging of it that pip verifies and
# every mirror carries. Its CPU library names two CUDA helpers as needed, so these two small wheels stay beside it;
# the rest of CUDA is fetched only where a driver (libcuda.so.1) is found. Talk goes to stderr, the path to stdout.
set -eu

torch=2.11.0
cache=${DIPTYCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/diptych}
home=$cache/libtorch-$torch
if [ -f "$home/.complete" ]; then
  echo "$home/link"
  exit 0
fi

say() { echo "diptych setup: $*" >&2; }
python3 -m pip --version >/dev/null 2>&1 || {
  say "Python's pip is missing; on Debian or Ubuntu: apt-get install -y build-essential python3-pip pkg-config"
  exit 1
}
[ "$(uname -sm)" = "Linux x86_64" ] || {
  say "libtorch is fetched for Linux on x86-64 only, this is $(uname -sm); set LIBTORCH to a libtorch $torch of your own"
  exit 1
}

work=$home.part.$$
trap 'rm -rf "$work"' EXIT INT TERM
mkdir -p "$work/wheels" "$work/site"

# One fixed interpreter tag, so that the same file is fetched whatever Python runs pip.
fetch() {
  python3 -m pip download --quiet --disable-pip-version-check --no-cache-dir --only-binary=:all: \
    --python-version 3.12 --implementation cp --platform manylinux_2_28_x86_64 --platform manylinux_2_27_x86_64 \
    --platform manylinux_2_25_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
    -d "$work/wheels" "$@" >&2
}
if ldconfig -p 2>/dev/null | grep -q 'libcuda\.so\.1' || [ -e /usr/local/nvidia/lib64/libcuda.so.1 ]; then
  say "a CUDA driver is here: fetching libtorch $torch with its CUDA libraries (about 2.5 GB)"
  fetch "torch==$torch"
else
  say "fetching libtorch $torch for the CPU (545 MB, once, into $cache)"
  fetch --no-deps "torch==$torch" nvidia-cuda-runtime==13.0.96 nvidia-cuda-cupti==13.0.85
fi

say "unpacking"
python3 - "$work" <<'PY' >&2
import glob, sys, zipfile
work = sys.argv[1]
for wheel in glob.glob(work + "/wheels/*.whl"):
    with zipfile.ZipFile(wheel) as archive:
        names = [n for n in archive.namelist() if n.startswith(("torch/lib/", "torch/include/", "nvidia/"))]
        archive.extractall(work + "/site", names)
PY
rm -rf "$work/wheels"

# The folder that the linker sees names only the CPU libraries: the program then starts without CUDA and opens
# libtorch_cuda.so by itself where it can (training/src/device.rs).
mkdir -p "$work/link/lib"
ln -s ../site/torch/include "$work/link/include"
for lib in libtorch.so libtorch_cpu.so libc10.so; do
  ln -s "../../site/torch/lib/$lib" "$work/link/lib/$lib"
done
touch "$work/.complete"
if ! mv -T "$work" "$home" 2>/dev/null; then
  [ -f "$home/.complete" ] || { say "cannot move $work to $home; remove $home and try again"; exit 1; }
fi
say "libtorch $torch is in $home"
echo "$home/link"
