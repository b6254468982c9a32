#!/usr/bin/env bash
# Samples a second of diptych's loader and of Python's webdataset with open_clip's training transform, in one run on the same
# shards: pictures of 256 pixels that `crawl` fetched from nginx on loopback and `shard` packed.
#
# usage: loader.sh DATA DIPTYCH LOADER PYTHON [OUT]
#
# DATA holds photos.tar; LOADER is the built example (cargo build --release -p training --example loader); PYTHON has webdataset,
# open_clip_torch, torch and Pillow. VARIANTS (16) pictures are made of each photograph. ROUNDS (3) rounds of SECONDS_EACH (15),
# PREPARE=1 only makes the shards, QUIET names a command that is put before each measurement.
set -euo pipefail
data=$(realpath "${1:?usage: loader.sh DATA DIPTYCH LOADER PYTHON [OUT]}")
diptych=$2 loader=$3 python=$4 out=${5:-loader-out}
here=$(dirname "$(realpath "$0")")
mkdir -p "$out" && out=$(realpath "$out")
port=${PORT:-8938} cores=$(nproc)

if [ ! -e "$out/shards/manifest.parquet" ]; then
  command -v nginx >/dev/null || { echo "nginx is missing; on Debian or Ubuntu: apt-get install -y nginx-light" >&2; exit 1; }
  "$python" "$here/loader-site.py" "$data/photos.tar" "$out" "${VARIANTS:-16}" "$port"
  mkdir -p "$out/nginx"
  cat >"$out/nginx/nginx.conf" <<CONF
worker_processes 1;
daemon off;
pid $out/nginx/nginx.pid;
error_log $out/nginx/error.log;
events { worker_connections 1024; }
http {
  access_log off;
  types { image/jpeg jpg; }
  client_body_temp_path $out/nginx/body; proxy_temp_path $out/nginx/proxy; fastcgi_temp_path $out/nginx/fastcgi;
  uwsgi_temp_path $out/nginx/uwsgi; scgi_temp_path $out/nginx/scgi;
  keepalive_requests 100000;
  server { listen 127.0.0.1:$port; root $out/site; }
}
CONF
  chmod -R a+rX "$out/site"
  nginx -c "$out/nginx/nginx.conf" -p "$out/nginx" -g "user $(id -un);" 2>>"$out/nginx/error.log" &
  trap 'kill %1 2>/dev/null || true' EXIT
  sleep 1
  "$diptych" crawl --corpus "$out/corpus" --source "urls:$out/list.csv" --allow-private --host-rate 0 --host-connections 32
  "$diptych" curate --corpus "$out/corpus" --without near-duplicate
  "$diptych" shard --manifest "$out/corpus/selection/default/manifest.parquet" --out "$out/shards" --shard-samples 1000
fi
[ -z "${PREPARE:-}" ] || exit 0

{
  echo "date: $(date -u +%F)"
  echo "machine: $cores cores, $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2 | xargs)"
  echo "shards: $(ls "$out"/shards/*.tar | wc -l) tars, $(du -sm "$out/shards" | cut -f1) MB"
  for round in $(seq "${ROUNDS:-3}"); do
    echo "webdataset $round: $(${QUIET:-} "$python" "$here/loader-peer.py" "$out/shards" "${SECONDS_EACH:-15}" "$cores" 2>/dev/null)"
    echo "diptych $round: $(${QUIET:-} "$loader" speed "$out/shards/manifest.parquet" "${SECONDS_EACH:-15}" "$cores" 2>/dev/null)"
  done
} | tee "$out/summary.txt"
