#!/bin/sh
# Puts the merges file of CLIP's tokenizer into the cache folder and prints its path.
#
# The file is taken from the PyPI wheel `open_clip_torch`, which carries OpenAI's bpe_simple_vocab_16e6.txt.gz unchanged;
# only that one file is unpacked. Talk goes to stderr, the path to stdout.
set -eu

version=3.3.0
name=bpe_simple_vocab_16e6.txt.gz
sum=924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a
cache=${DIPTYCH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/diptych}
file=$cache/$name
if [ -f "$file" ]; then
  echo "$file"
  exit 0
fi

say() { echo "diptych setup: $*" >&2; }
python3 -m pip --version >/dev/null 2>&1 || {
  say "Python's pip is missing; on Debian or Ubuntu: apt-get install -y build-essential python3-pip pkg-config"
  exit 1
}

mkdir -p "$cache"
work=$(mktemp -d "$cache/merges.part.XXXXXX")
trap 'rm -rf "$work"' EXIT INT TERM
say "fetching the tokenizer's merges (1.4 MB, once, into $cache)"
python3 -m pip download --quiet --disable-pip-version-check --no-cache-dir --no-deps --only-binary=:all: \
  -d "$work" "open_clip_torch==$version" >&2
python3 - "$work" "$name" <<'PY' >&2
import glob, sys, zipfile
work, name = sys.argv[1:]
(wheel,) = glob.glob(work + "/*.whl")
with zipfile.ZipFile(wheel) as archive, open(work + "/" + name, "wb") as out:
    out.write(archive.read("open_clip/" + name))
PY
echo "$sum  $work/$name" | sha256sum --check --quiet - >&2 || {
  say "the merges file of open_clip_torch $version is not the expected one"
  exit 1
}
# Renaming within one folder: the file is there whole or not at all.
mv "$work/$name" "$file"
echo "$file"
