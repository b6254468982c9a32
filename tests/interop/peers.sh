#!/bin/sh
# Installs the programs that read shards into FOLDER, once: webdataset 0.2 and 1.0, each on a path of its own; Megatron-Energon and
# img2dataset if they can be had. Prints the Python that runs the comparison: PYTHON itself when it has torch and open_clip's trainer, else
# one of a virtual environment in FOLDER into which they are installed (torch is large).
#
# usage: peers.sh FOLDER PYTHON
set -e
mkdir -p "$1"
cd "$1"
python=$2
if ! "$python" -c 'import open_clip_train, pyarrow, torch' 2>/dev/null; then
    [ -x own/bin/python ] || "$python" -m venv own
    python=$PWD/own/bin/python
    "$python" -c 'import open_clip_train, pyarrow, torch' 2>/dev/null || "$python" -m pip install -q open_clip_torch pyarrow setuptools >&2
fi
[ -d wds-0.2/webdataset ] || "$python" -m pip install -q --no-deps --target wds-0.2 webdataset==0.2.111 braceexpand >&2
[ -d wds-1.0/webdataset ] || "$python" -m pip install -q --no-deps --target wds-1.0 webdataset==1.0.2 braceexpand >&2
if [ ! -d energon/megatron ]; then
    "$python" -m pip install -q --no-deps --target energon megatron-energon >&2 || echo "Megatron-Energon cannot be had" >&2
    "$python" -m pip install -q --target energon-deps click filetype mfusepy multi-storage-client rapidyaml s3fs braceexpand tqdm pyyaml >&2 || true
fi
if [ ! -x img/bin/img2dataset ]; then
    "$python" -m venv img && img/bin/pip install -q img2dataset 'setuptools<70' >&2 || echo "img2dataset cannot be had" >&2
fi
echo "$python"
