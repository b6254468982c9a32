# diptych for people: each target takes the program's flags as variables, such as `make train MODEL=ViT-B-32 EPOCHS=32`.
# Everything is .PHONY: some targets are folders too, and the program itself knows what is done.
.PHONY: help setup build demo wordlist crawl curate shards train eval report sql status verify test lint fuzz \
  interop interop-words interop-shards interop-store interop-models interop-transform models-python golden bench bench-wat bench-loader bench-models real-run

CACHE := $(or $(DIPTYCH_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/diptych)
export LIBTORCH ?= $(CACHE)/libtorch-2.11.0/link
export CARGO_TARGET_DIR ?= $(CURDIR)/target
DIPTYCH := $(CARGO_TARGET_DIR)/release/diptych

CORPUS ?= corpus
SELECTION ?= default
SHARDS ?= $(CORPUS)-shards
RUNS ?= runs
RUN ?= $(RUNS)/first
# flag NAME,VARIABLE: `--name value` when the variable is set.
flag = $(if $($(2)),--$(1) '$($(2))')
# flags NAME,VARIABLE: the flag once for each word of the variable.
flags = $(foreach word,$($(2)),--$(1) '$(word)')

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: ## Check the tools, fetch libtorch and the tokenizer's merges (once, outside the tree)
	@missing=; command -v cargo >/dev/null || missing="$$missing rust"; command -v c++ >/dev/null || missing="$$missing c++"; \
	python3 -m pip --version >/dev/null 2>&1 || missing="$$missing pip"; \
	if [ -n "$$missing" ]; then echo "diptych needs:$$missing" >&2; \
	echo "on Debian or Ubuntu:  apt-get install -y build-essential python3-pip curl && curl -sSf https://sh.rustup.rs | sh -s -- -y" >&2; exit 1; fi
	@[ -e "$(LIBTORCH)/lib/libtorch_cpu.so" ] || ./training/libtorch.sh >/dev/null
	@./training/merges.sh >/dev/null

build: setup ## Build the program (about ten minutes the first time on two cores)
	@cargo build --release -p diptych --bins

demo: build ## Run every stage on a small web of the program's own and write a report (OUT=demo-out SEED=1)
	@$(DIPTYCH) demo $(call flag,out,OUT) $(call flag,seed,SEED)

wordlist: build ## Query list from Wikipedia dumps (DUMP='enwiki a.xml.bz2 ...' PAGEVIEWS=20260501 WORDNET=/usr/share/wordnet MATCH=folded MIN_COUNT=100 LIMIT=500000 ADD=names.txt MIRROR=URL OUT=queries.parquet)
	@$(DIPTYCH) wordlist $(foreach word,$(or $(DUMP),enwiki),--dump '$(word)') $(call flags,pageviews,PAGEVIEWS) $(call flag,wordnet,WORDNET) \
	  $(call flag,match,MATCH) $(call flag,mirror,MIRROR) $(call flag,min-count,MIN_COUNT) $(call flag,limit,LIMIT) $(call flags,add,ADD) $(call flag,out,OUT)

crawl: build ## Collect pairs (SOURCE='web:URL urls:FILE' QUERIES=queries.parquet CONTACT=you@example.org PER_QUERY=20000 CORPUS=corpus; RETRY=timeout,http_5xx METRICS=127.0.0.1:9100)
	@$(DIPTYCH) crawl --corpus '$(CORPUS)' $(call flags,source,SOURCE) $(call flag,retry,RETRY) $(call flag,metrics,METRICS) $(call flag,queries,QUERIES) $(call flag,contact,CONTACT) \
	  $(call flag,per-query,PER_QUERY) $(call flag,image-size,IMAGE_SIZE) $(call flag,resize-mode,RESIZE_MODE) $(call flag,limit,LIMIT) \
	  $(call flag,host-connections,HOST_CONNECTIONS) $(call flag,host-rate,HOST_RATE) $(if $(ALLOW_PRIVATE),--allow-private)

curate: build ## Filter, find duplicates, balance (CORPUS=corpus SELECTION=default PER_QUERY=20000)
	@$(DIPTYCH) curate --corpus '$(CORPUS)' --name '$(SELECTION)' $(call flag,per-query,PER_QUERY) $(call flags,without,WITHOUT)

shards: curate ## Shuffled training shards from the selection (SHARDS=corpus-shards HOLDOUT=0.05)
	@$(DIPTYCH) shard --manifest '$(CORPUS)/selection/$(SELECTION)/manifest.parquet' --out '$(SHARDS)' $(call flag,holdout,HOLDOUT)

train: $(if $(MANIFEST),build,shards) ## Train CLIP on the shards (MODEL=ViT-B-32 EPOCHS=32 BATCH_SIZE=256 RUN=runs/first)
	@$(DIPTYCH) train --manifest '$(or $(MANIFEST),$(SHARDS)/manifest.parquet)' --out '$(RUN)' --resume $(call flag,model,MODEL) \
	  $(call flag,epochs,EPOCHS) $(call flag,batch-size,BATCH_SIZE) $(call flag,lr,LR) $(call flag,precision,PRECISION)

eval: build ## Zero-shot accuracy of the run (RUN=runs/first MANIFEST=... SPLIT=val TEMPLATES=simple)
	@$(DIPTYCH) eval zero-shot --checkpoint '$(RUN)' --manifest '$(or $(MANIFEST),$(SHARDS)/manifest.parquet)' \
	  $(call flag,split,SPLIT) $(call flag,templates,TEMPLATES) $(call flag,out,OUT)

report: build ## One page about corpus and run, in RUN/report.html (CORPUS=corpus RUN=runs/first MANIFEST='a.parquet ...' OUT=report.html)
	@$(DIPTYCH) report $(if $(wildcard $(CORPUS)),--corpus '$(CORPUS)' --selection '$(SELECTION)') $(if $(wildcard $(RUN)),--run '$(RUN)') \
	  $(foreach file,$(or $(MANIFEST),$(wildcard $(SHARDS)/manifest.parquet)),--manifest '$(file)') $(call flag,out,OUT)

sql: build ## Ask the corpus questions (SQL='select ...' or an interactive prompt)
	@$(DIPTYCH) sql --corpus '$(CORPUS)' --runs '$(RUNS)' $(if $(wildcard $(SHARDS)),--shards '$(SHARDS)') $(if $(SQL),-c "$(SQL)")

status: build ## For each stage what is done, left, failed, and how fast it goes; which device would train
	@$(DIPTYCH) status --corpus '$(CORPUS)' --runs '$(RUNS)' $(if $(wildcard $(SHARDS)),--shards '$(SHARDS)')

verify: build ## Look for damage in corpus, shards and runs
	@$(DIPTYCH) verify $(wildcard $(CORPUS) $(SHARDS) $(RUNS))

test: setup ## Run all tests
	@cargo test --release --workspace

lint: setup ## Check formatting and clippy's warnings
	@cargo fmt --all --check
	@cargo clippy --release --workspace --all-targets -- -D warnings

fuzz: setup ## Feed damaged input to readers of foreign bytes (SECONDS=10 for each, TARGETS='dump-bz2 ...', SEED=1); failing inputs stay in fuzz-out/
	@cargo build --release --bins -p diptych -p fuzz
	@ulimit -v 8000000; $(CARGO_TARGET_DIR)/release/fuzz $(call flag,seconds,SECONDS) $(call flag,seed,SEED) $(TARGETS)

# Compares with Python peers on real data, in virtual environments outside the tree.
DATA_ASKED = [ -n '$(DATA)' ] || { echo "make $@ DATA=folder with $(1)" >&2; exit 2; }
EXAMPLES := $(CARGO_TARGET_DIR)/release/examples
# open_clip and transformers beside the PyTorch whose libtorch is linked; PYTHON3 names an interpreter that has them already.
PYTHON3 ?= $(CACHE)/interop-models/bin/python
WORK = work=$$(mktemp -d) && trap "rm -rf $$work" EXIT

interop: interop-words interop-shards interop-store interop-models interop-transform ## All comparisons with Python peers (DATA=folder with enwiki-excerpt.xml.bz2, pages.tar.xz, photos.tar)

interop-words: build ## The query list beside wikiextractor, images of pages beside lexbor (DATA=folder)
	@$(call DATA_ASKED,enwiki-excerpt.xml.bz2 and pages.tar.xz)
	@[ -x '$(CACHE)/interop/bin/wikiextractor' ] || { python3 -m venv '$(CACHE)/interop' && '$(CACHE)/interop/bin/pip' install -q wikiextractor==3.1.0; }
	@'$(CACHE)/interop/bin/python' -c 'import ada_url, selectolax' 2>/dev/null || '$(CACHE)/interop/bin/pip' install -q selectolax==0.4.6 ada-url==4.0.0
	@$(WORK) && '$(CACHE)/interop/bin/python' tests/interop/wordlist.py '$(DIPTYCH)' '$(abspath $(DATA))/enwiki-excerpt.xml.bz2' "$$work" && \
	  '$(CACHE)/interop/bin/python' tests/interop/pages.py '$(DIPTYCH)' '$(abspath $(DATA))/pages.tar.xz' "$$work"

interop-shards: build ## Shards read with tar, webdataset 0.2 and 1.0, open_clip's trainer, Megatron-Energon; import from img2dataset (PYTHON=python3, one with torch saves its download)
	@$(WORK) && python=$$(tests/interop/peers.sh '$(CACHE)/interop-shards' '$(or $(PYTHON),python3)') && \
	  "$$python" tests/interop/shards.py '$(DIPTYCH)' "$$work" '$(CACHE)/interop-shards'

interop-store: build ## Shards in an object store that speaks S3: moto's server on loopback (PORT=5007)
	@[ -x '$(CACHE)/interop-store/bin/python' ] || python3 -m venv '$(CACHE)/interop-store'
	@'$(CACHE)/interop-store/bin/python' -c 'import boto3, moto.server, PIL' 2>/dev/null || '$(CACHE)/interop-store/bin/pip' install -q 'moto[server]==5.*' boto3 pillow
	@$(WORK) && '$(CACHE)/interop-store/bin/python' tests/interop/store.py '$(DIPTYCH)' "$$work" '$(or $(PORT),5007)'

interop-models: models-python ## Models, weights and tokenizer beside open_clip and transformers (PARTS='counts tokens weights trained ViT-B-32 ...'; 16 GB of memory for all)
	@$(WORK) && '$(PYTHON3)' tests/interop/models.py '$(CURDIR)' '$(DIPTYCH)' '$(EXAMPLES)/forward' "$$work" $(PARTS)

interop-transform: models-python ## The evaluation transform beside torchvision's (DATA=folder with photos.tar)
	@$(call DATA_ASKED,photos.tar)
	@cargo build --release -p diptych -p training --example loader
	@$(WORK) && '$(PYTHON3)' tests/interop/transform.py '$(EXAMPLES)/loader' '$(abspath $(DATA))/photos.tar' "$$work"

models-python: build
	@[ -x '$(PYTHON3)' ] || { python3 -m venv '$(CACHE)/interop-models' && \
	  '$(CACHE)/interop-models/bin/pip' install -q torch==2.11.0 open_clip_torch==3.3.0 'transformers>=5,<6'; }
	@cargo build --release -p diptych -p training --bins --example forward --example pace --example tokens

golden: models-python ## Write training/golden anew: open_clip's figures that the tests compare with
	@'$(PYTHON3)' tests/interop/golden.py '$(CURDIR)'

bench-wat: build ## Pairs of a WAT file against fastwarc and orjson (DATA=folder with pages.tar.xz)
	@$(call DATA_ASKED,pages.tar.xz)
	@[ -x '$(CACHE)/bench/bin/python' ] || python3 -m venv '$(CACHE)/bench'
	@'$(CACHE)/bench/bin/python' -c 'import fastwarc, orjson, selectolax' 2>/dev/null || '$(CACHE)/bench/bin/pip' install -q fastwarc==0.15.2 orjson==3.13.0 selectolax==0.4.6
	@$(WORK) && tar -xJf '$(DATA)/pages.tar.xz' -C "$$work" && \
	  '$(CACHE)/bench/bin/python' benches/wat-file.py "$$work" "$$work/pages.warc.wat.gz" 2000 && \
	  '$(CACHE)/bench/bin/python' benches/wat.py '$(DIPTYCH)' "$$work/pages.warc.wat.gz"

bench-loader: build ## The loader beside webdataset and open_clip (DATA=folder with photos.tar PYTHON=interpreter that has both; needs nginx)
	@cargo build --release -p diptych -p training --example loader
	@benches/loader.sh '$(DATA)' '$(DIPTYCH)' '$(EXAMPLES)/loader' '$(PYTHON)' $(OUT)

bench-models: models-python ## Pace of the nine models and of the tokenizer beside open_clip's, in one run (PARTS='ViT-B-32 RN50')
	@'$(PYTHON3)' benches/models.py '$(EXAMPLES)/pace' '$(EXAMPLES)/tokens' $(PARTS)

# The Python peers live in a virtual environment outside the tree; setuptools below 80 has the pkg_resources that img2dataset asks for.
BENCH := $(CACHE)/bench
bench: build ## Compare with Python peers in one run (NAME=matching|fetching|capping DATA=folder with photos.tar, enwiki-excerpt.xml.bz2; fetching needs nginx)
	@case '$(NAME)' in matching|fetching|capping) ;; *) echo "make bench NAME=matching|fetching|capping" >&2; exit 2;; esac
	@[ '$(NAME)' = capping ] || [ -n '$(DATA)' ] || { echo "make bench NAME=$(NAME) DATA=folder with photos.tar and enwiki-excerpt.xml.bz2" >&2; exit 2; }
	@[ '$(NAME)' = capping ] || [ -x '$(BENCH)/bin/img2dataset' ] || { python3 -m venv '$(BENCH)' && \
	  '$(BENCH)/bin/pip' install -q img2dataset==1.47.0 pyahocorasick==2.3.1 'setuptools<80'; }
	@[ '$(NAME)' = fetching ] || cargo build --release -q -p curation -p diptych --lib --bins --example matching --example capping
	@case '$(NAME)' in \
	  matching) '$(BENCH)/bin/python' benches/matching.py '$(CARGO_TARGET_DIR)/release/examples/matching' '$(abspath $(DATA))/enwiki-excerpt.xml.bz2' ;; \
	  fetching) '$(BENCH)/bin/python' benches/fetch.py '$(DIPTYCH)' '$(abspath $(DATA))/photos.tar' --repeat 5 ;; \
	  capping) '$(CARGO_TARGET_DIR)/release/examples/capping' ;; esac

real-run: build ## The whole line on real data (DATA=folder with cifar10.tar.xz, photos.tar, enwiki-excerpt.xml.bz2; needs nginx)
	@benches/real-run.sh '$(DATA)' '$(DIPTYCH)' $(OUT)
