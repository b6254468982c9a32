#!/usr/bin/env bash
# The whole line on real data, from a Wikipedia dump and a web site to a zero-shot figure on CIFAR-10's test pictures.
#
# usage: real-run.sh DATA DIPTYCH [OUT]
#
# DATA holds enwiki-excerpt.xml.bz2, cifar10.tar.xz and photos.tar. nginx serves the pictures on loopback. The printed
# summary also goes to OUT/summary.txt. Filters for tiny sides and repeated captions are off: the pictures are 32 pixels
# wide and a few phrasings describe thousands of them.
set -euo pipefail
data=$(realpath "${1:?usage: real-run.sh DATA DIPTYCH [OUT]}")
diptych=${2:?usage: real-run.sh DATA DIPTYCH [OUT]}
out=${3:-real-run-out}
here=$(dirname "$(realpath "$0")")
command -v nginx >/dev/null || { echo "nginx is missing; on Debian or Ubuntu: apt-get install -y nginx-light" >&2; exit 1; }
mkdir -p "$out" && out=$(realpath "$out")

python3 "$here/real-run-site.py" "$data" "$out"

port=${PORT:-8937}
mkdir -p "$out/nginx"
cat >"$out/nginx/nginx.conf" <<CONF
worker_processes 1;
daemon off;
pid $out/nginx/nginx.pid;
error_log $out/nginx/error.log;
events { worker_connections 1024; }
http {
  access_log off;
  types { text/html html; image/jpeg jpg JPEG; }
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

stage() { # name, command...
  local name=$1 begin=$SECONDS
  shift
  echo "== $name: diptych ${*:2}" >&2
  "$@"
  echo "$name: $((SECONDS - begin)) s" >>"$out/seconds.txt"
}
: >"$out/seconds.txt"
stage wordlist "$diptych" wordlist --dump "$data/enwiki-excerpt.xml.bz2" --min-count 1 --add "$out/names.txt" --out "$out/queries.parquet"
stage crawl "$diptych" crawl --corpus "$out/corpus" --queries "$out/queries.parquet" --source "web:http://127.0.0.1:$port/index.html" \
  --allow-private --host-rate 0 --host-connections 64
stage curate "$diptych" curate --corpus "$out/corpus" --without min-side --without caption-repeated
stage shard "$diptych" shard --manifest "$out/corpus/selection/default/manifest.parquet" --out "$out/shards" --holdout 0.02
stage train "$diptych" train --manifest "$out/shards/manifest.parquet" --model small-resnet --image-size 32 --out "$out/runs/cifar" \
  --epochs "${EPOCHS:-8}" --batch-size 128 --lr "${LR:-6e-3}" --warmup 400 --weight-decay 0.1 --augment flip-shift --resume ${TRAIN_FLAGS:-}
stage import "$diptych" import "folder:$out/test" --out "$out/test-set"
stage eval "$diptych" eval zero-shot --checkpoint "$out/runs/cifar" --manifest "$out/test-set/manifest.parquet" --split test --templates cifar

{
  echo "date: $(date -u +%F)"
  echo "machine: $(nproc) cores, $(grep -m1 'model name' /proc/cpuinfo | cut -d: -f2 | xargs)"
  cat "$out/seconds.txt"
  echo "pairs per CIFAR-10 class: on the site, fetched, selected"
  "$diptych" sql --corpus "$out/corpus" --runs "$out/runs" --format csv -c "
    select c.class, c.seen, p.fetched, s.selected from
      (select split_part(image_url, '/', 5) as class, count(*) as seen from candidates where image_url like '%/cifar/%' group by class) c
      join (select split_part(url, '/', 5) as class, count(*) as fetched from pairs where url like '%/cifar/%' group by class) p on c.class = p.class
      join (select split_part(image_url, '/', 5) as class, count(*) as selected from samples where image_url like '%/cifar/%' group by class) s
        on c.class = s.class
    order by c.class"
  echo "reasons:"
  "$diptych" sql --corpus "$out/corpus" --runs "$out/runs" --format csv -c "select reason, count(*) as pairs from reasons group by reason order by pairs desc"
  echo "zero-shot on CIFAR-10's 10,000 test pictures:"
  "$diptych" sql --corpus "$out/corpus" --runs "$out/runs" --format csv -c "select run, n, round(top1, 4) as top1, round(top5, 4) as top5, round(mean_per_class, 4) as mean_per_class from evals"
} | tee "$out/summary.txt"
