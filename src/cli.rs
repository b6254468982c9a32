//! The flags of every subcommand, with unit, default and meaning: what is typed in, before anything touches the world.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Builds image-text corpora from the web and trains and evaluates CLIP models on them.
///
/// The line runs `wordlist`, `crawl`, `curate`, `shard`, `train`, `eval`; each stage reads the files of the one before, and
/// `sql` reads them all. Flags may also stand in `diptych.toml` in the current folder, by the same names in one table per
/// subcommand; flags on the command line win. Data goes to stdout, talk to stderr. Exit status: 0 done, 1 failed, 2 wrong
/// usage.
#[derive(Parser, Debug)]
#[command(name = "diptych", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// A stage or a question.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Make the query list from Wikipedia dumps, page views and WordNet, with the provenance of every query
    Wordlist(Wordlist),
    /// Collect image-text pairs that match the query list, at most so many per query
    Crawl(Crawl),
    /// List the pairs of URL lists, WARC and WAT files as JSON lines, without a corpus
    Pairs(Pairs),
    /// Select from the pool: filters, duplicates, balance; writes a manifest and a reason for every pair
    Curate(Curate),
    /// Write a manifest's samples as shuffled WebDataset shards
    Shard(Shard),
    /// Turn another dataset into a manifest, or a download of img2dataset into the pool of a corpus
    Import(Import),
    /// Train a CLIP model on manifests
    Train(Train),
    /// Evaluate a trained model
    #[command(subcommand)]
    Eval(Eval),
    /// Say what models there are or what a file of weights holds; convert weights for other libraries
    #[command(subcommand)]
    Model(Model),
    /// Learn a tokenizer from captions, or see the ids of texts
    #[command(subcommand)]
    Tokenizer(Tokenizer),
    /// Ask questions of a corpus and its runs in SQL, read-only
    Sql(Sql),
    /// Say for each stage what is done, what is left, how fast it goes and what failed, and which device would train
    Status(Status),
    /// Say which device would train, and why
    Device,
    /// Check corpora, shards and runs for damage: hashes, archives, tables, and whether they agree; exit status 1 when there is any
    Verify(Verify),
    /// Take pictures and pairs down by address, host, hash or pair, in every archive and table, and list the runs that trained on them
    Remove(Remove),
    /// Write one self-contained page about a corpus, a run, or both
    Report(Report),
    /// Run every stage on a small web that the program generates and serves on loopback; ends in a report
    Demo(Demo),
}

/// Flags of `wordlist`.
#[derive(Args, Debug)]
pub struct Wordlist {
    /// MediaWiki XML dump, .xml or .xml.bz2, or a wiki whose dump is downloaded: enwiki, dewiki@20260501; may be given several times,
    /// and left out of a list that is made of other sources
    #[arg(long, required_unless_present_any = ["explain", "add", "wordnet", "pageviews"], value_name = "FILE|NAME")]
    pub dump: Vec<String>,
    /// Hourly page views file, folder of them, or a day (20260501) or hour (20260501-13) to download; may be given several times
    #[arg(long, value_name = "FILE|TIME")]
    pub pageviews: Vec<String>,
    /// Folder with WordNet's data.noun, data.verb, data.adj, data.adv (Debian's wordnet-base has /usr/share/wordnet)
    #[arg(long, value_name = "DIR")]
    pub wordnet: Option<PathBuf>,
    /// Text file with one query per line, taken whatever its count; may be given several times
    #[arg(long, value_name = "FILE")]
    pub add: Vec<PathBuf>,
    /// Matching rule that a crawl shall obey: folded, metaclip1 or metaclip2; the latter two mind capitals
    #[arg(long = "match", default_value = "folded", value_name = "RULE")]
    pub rule: curation::Rule,
    /// Keep words that occur at least this often (the paper's 100)
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub min_count: u64,
    /// Keep pairs of words that occur at least this often in a row [default: --min-count, but at least 5]
    #[arg(long, value_name = "N")]
    pub min_pairs: Option<u64>,
    /// Least pointwise mutual information of a pair in bits [default: half of what a pair seen --min-pairs times can reach]
    #[arg(long, value_name = "BITS")]
    pub pmi: Option<f64>,
    /// Keep at most this many pairs [default: 40 % of the number of frequent words, and at most their quota]
    #[arg(long, value_name = "N")]
    pub bigrams: Option<usize>,
    /// Project whose page views count, as their files name it, such as en [default: that of the first dump]
    #[arg(long, value_name = "CODE")]
    pub project: Option<String>,
    /// Keep titles with at least this many page views (MetaCLIP's 70)
    #[arg(long, default_value_t = 70, value_name = "N")]
    pub min_views: u64,
    /// Leave out hours in which a title had fewer page views (MetaCLIP's 50)
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub min_hour_views: u64,
    /// Numbers from 0 that are queries, 0 for none
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub numbers: usize,
    /// Keep at most this many queries, each source within its published share
    #[arg(long, default_value_t = 500_000, value_name = "N")]
    pub limit: usize,
    /// Memory for counting in MiB; what exceeds it is spilled beside the list
    #[arg(long, default_value_t = 4096, value_name = "MIB")]
    pub memory: usize,
    /// Server that dumps and page views are downloaded from, laid out like Wikimedia's
    #[arg(long, default_value = "https://dumps.wikimedia.org", value_name = "URL")]
    pub mirror: String,
    /// Folder for downloads; a broken one goes on where it was cut
    #[arg(long, default_value = "dumps", value_name = "DIR")]
    pub downloads: PathBuf,
    /// Make no list: say why this text is or is not in the list at --out
    #[arg(long, value_name = "TEXT")]
    pub explain: Option<String>,
    /// Where the list goes
    #[arg(long, default_value = "queries.parquet", value_name = "FILE")]
    pub out: PathBuf,
}

/// Flags of `crawl`.
#[derive(Args, Debug)]
pub struct Crawl {
    /// Corpus folder; made when it is not there
    #[arg(long, default_value = "corpus", value_name = "DIR")]
    pub corpus: PathBuf,
    /// Query list; kept in the corpus, so later calls may leave it out. Without a list every captioned pair is taken
    #[arg(long, value_name = "FILE")]
    pub queries: Option<PathBuf>,
    /// web:URL follows links from a seed; urls:FILE reads a list (Parquet, CSV, TSV, JSON, text, also packed), a folder or pattern of them;
    /// warc:WHERE and wat:WHERE read archives: a file, folder, pattern, https:// or s3:// address, list of paths, or CC-MAIN-YYYY-WW;
    /// openverse: and commons: search for each query, those with the fewest pairs first
    #[arg(long, required_unless_present_any = ["retry", "per_query"], value_name = "KIND:WHERE")]
    pub source: Vec<String>,
    /// Decide anew, and fetch, the pairs that ended so, such as timeout,http_5xx, and ask again for the pages of web sources and the
    /// requests to services that did (trap and unreadable too); with this no --source is needed. Pages found then obey the --include and
    /// --exclude of this call
    #[arg(long, value_name = "OUTCOMES", value_delimiter = ',')]
    pub retry: Vec<String>,
    /// Pairs per query after curation, 0 = unlimited; the crawl fetches 1.5 times as many, for what filters will drop. A larger
    /// number than the corpus has takes up the pairs that were outside; no --source is needed then [default: 20000]
    #[arg(long, value_name = "N")]
    pub per_query: Option<u64>,
    /// Side to which stored images are reduced, in pixels [default: 256]
    #[arg(long, value_name = "PIXELS")]
    pub image_size: Option<u32>,
    /// no, keep_ratio, keep_ratio_largest, center_crop or border, as img2dataset names them [default: keep_ratio]
    #[arg(long, value_name = "MODE")]
    pub resize_mode: Option<shards::ResizeMode>,
    /// Seed of the random choices of the cap [default: 1]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Mail address or web page of who crawls, sent with every request; required for addresses that are not private
    #[arg(long, value_name = "ADDRESS")]
    pub contact: Option<String>,
    /// Allow loopback and private addresses
    #[arg(long)]
    pub allow_private: bool,
    /// Connections per host at a time, 0 = unlimited
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub host_connections: usize,
    /// Requests per second to one host, 0 = unlimited
    #[arg(long, default_value_t = 10.0, value_name = "X")]
    pub host_rate: f64,
    /// Pages of the live web that one host is asked for at most, over all runs, 0 = unlimited; those beyond wait for a larger number
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    pub host_pages: u64,
    /// Fetches in flight over all hosts
    #[arg(long, default_value_t = 256, value_name = "N")]
    pub concurrency: usize,
    /// Links followed from a seed
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub max_depth: u32,
    /// Seconds for one request with its body
    #[arg(long, default_value_t = 30.0, value_name = "SECONDS")]
    pub timeout: f64,
    /// Times that a request is made again after a network error, 429 or 5xx
    #[arg(long, default_value_t = 2, value_name = "N")]
    pub retries: u32,
    /// Follow links to pages that match HOST or HOST/PATH (* is anything) of whatever host, instead of the seed's site; may be given several times
    #[arg(long, value_name = "PATTERN")]
    pub include: Vec<String>,
    /// Do not follow links to pages that match; may be given several times
    #[arg(long, value_name = "PATTERN")]
    pub exclude: Vec<String>,
    /// Stop in good order after this many seconds; the same command goes on later
    #[arg(long, value_name = "SECONDS")]
    pub max_time: Option<f64>,
    /// Serve figures in Prometheus' form at http://ADDR/metrics, such as localhost:9000
    #[arg(long, value_name = "ADDR", value_parser = crawler::listening_address)]
    pub metrics: Option<SocketAddr>,
    /// Crawlers whose groups of robots.txt and ai.txt, robots tags and metas are obeyed where diptych is not named
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_values_t = crawler::OBEYED_GROUPS.map(String::from))]
    pub obey_groups: Vec<String>,
    /// Whether pictures not larger than the image size are left whole: not blown up, cut (center_crop) or framed (border), as in img2dataset
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set)]
    pub resize_only_if_bigger: bool,
    /// Format of stored pictures: jpg, png or webp [default: jpg]
    #[arg(long, value_name = "FORMAT")]
    pub encode_format: Option<shards::Format>,
    /// Quality of stored pictures: 1 to 100 of jpg and webp (more is webp without loss), effort of packing 0 to 9 of png [default: 95, png 6]
    #[arg(long, value_name = "N")]
    pub encode_quality: Option<u8>,
    /// Store pictures of that format that need no resizing as they came
    #[arg(long)]
    pub skip_reencode: bool,
    /// Refuse pictures with a shorter side than this, in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 0)]
    pub min_image_size: u32,
    /// Refuse pictures of more pixels than this
    #[arg(long, value_name = "PIXELS")]
    pub max_image_area: Option<u64>,
    /// Refuse pictures whose longer side is more than this many times the shorter
    #[arg(long, value_name = "X")]
    pub max_aspect_ratio: Option<f64>,
    /// Refuse pictures whose bytes do not have the MD5, SHA-1, SHA-256 or SHA-512 (in hex) that this column of the lists says
    #[arg(long, value_name = "COLUMN")]
    pub verify_hash: Option<String>,
    /// Candidates of one job, and so the most samples of one pool tar, at most 10000
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub number_sample_per_shard: usize,
    /// Stop each source after this many pages (web), rows (lists) or files (archives)
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
}

/// Flags of `pairs`.
#[derive(Args, Debug)]
pub struct Pairs {
    /// urls:, warc: or wat: source, as `crawl` takes it; may be given several times
    #[arg(long, required = true, value_name = "KIND:WHERE")]
    pub source: Vec<String>,
    /// Stop each source after this many rows (lists) or files (archives)
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// Side to which images would be reduced, in pixels: of an image in several sizes the one with 4 times as many is listed
    #[arg(long, default_value_t = 256, value_name = "PIXELS")]
    pub image_size: u32,
    /// Mail address or web page of who asks; required for archives on public servers
    #[arg(long, value_name = "ADDRESS")]
    pub contact: Option<String>,
    /// Allow archives at loopback and private addresses
    #[arg(long)]
    pub allow_private: bool,
}

/// Flags of `curate`.
#[derive(Args, Debug)]
pub struct Curate {
    /// Corpus folder
    #[arg(long, default_value = "corpus", value_name = "DIR")]
    pub corpus: PathBuf,
    /// Name of the selection; written to selection/NAME in the corpus
    #[arg(long, default_value = "default", value_name = "NAME")]
    pub name: String,
    /// Pairs per query, 0 = unlimited [default: what the crawl was given]
    #[arg(long, value_name = "N")]
    pub per_query: Option<u64>,
    /// Refuse captions that are on more different pictures than this
    #[arg(long, default_value_t = curation::Filters::default().max_pictures, value_name = "N")]
    pub max_pictures: u32,
    /// Leave a rule out, by its name in the reasons (min-side, aspect, caption-repeated, flat, near-duplicate, ...); repeatable
    #[arg(long, value_name = "RULE")]
    pub without: Vec<String>,
}

/// Flags of `shard`.
#[derive(Args, Debug)]
pub struct Shard {
    /// Manifest to read; a path, or an address (s3://, gs://, https://) with keys from the environment
    #[arg(long, value_name = "FILE")]
    pub manifest: PathBuf,
    /// Folder for the shards; appears when they are whole. At an address (s3://, gs://) the manifest comes last
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Share of groups of duplicates to hold out as split `val`, 0 to 1
    #[arg(long, default_value_t = 0.0, value_name = "F")]
    pub holdout: f64,
    /// Seed of the order and of the holdout
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Samples per shard
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    pub shard_samples: usize,
    /// Bytes of pictures per shard at most
    #[arg(long, default_value_t = 1 << 30, value_name = "N")]
    pub shard_bytes: u64,
}

/// Flags of `import`.
#[derive(Args, Debug)]
pub struct Import {
    /// folder:DIR (class folders), tar:PATH (WebDataset, CLIP_benchmark's too; addresses and {00000..00041} ranges), img2dataset:DIR,
    /// datacomp:DIR, cifar:DIR (binary version), mnist:DIR (IDX files)
    #[arg(value_name = "KIND:WHERE")]
    pub from: String,
    /// Folder for the manifest
    #[arg(long, value_name = "DIR", required_unless_present = "corpus")]
    pub out: Option<PathBuf>,
    /// Corpus to whose pool img2dataset: or datacomp: adds, made when it is not there: to be curated like a crawl
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    pub corpus: Option<PathBuf>,
    /// With --corpus, the query list; pairs that match none are left out. Kept in the corpus, so later calls may leave it out
    #[arg(long, value_name = "FILE", requires = "corpus")]
    pub queries: Option<PathBuf>,
    /// With --corpus, pairs per query after curation, 0 = unlimited; a crawl may still set it while a corpus has imports only [default: 0]
    #[arg(long, value_name = "N", requires = "corpus")]
    pub per_query: Option<u64>,
    /// With datacomp:, a NumPy file of the uids to take, as its subsets are published
    #[arg(long, value_name = "FILE")]
    pub subset: Option<PathBuf>,
    /// Split of all samples: train, val or test [default: by folder names, else test]
    #[arg(long, value_name = "NAME")]
    pub split: Option<String>,
}

/// Flags of `train`.
#[derive(Args, Debug)]
pub struct Train {
    /// Manifest whose split `train` is used; may be given several times. A weight says how often its samples come in an epoch
    #[arg(long, required = true, value_name = "FILE[:WEIGHT]")]
    pub manifest: Vec<training::Source>,
    /// Model by name, or a JSON file of its shape [default: ViT-B-32 on a GPU, small-resnet on a CPU]
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Side of the images that the model sees, in pixels [default: the model's]
    #[arg(long, value_name = "PIXELS")]
    pub image_size: Option<i64>,
    /// Merges file of `tokenizer train`; the model's vocabulary becomes as large as its [default: CLIP's]
    #[arg(long, value_name = "FILE")]
    pub tokenizer: Option<PathBuf>,
    /// Folder of the run
    #[arg(long, default_value = "runs/first", value_name = "DIR")]
    pub out: PathBuf,
    /// Passes over the training split
    #[arg(long, default_value_t = 32.0, value_name = "X")]
    pub epochs: f64,
    /// Pairs contrasted with each other in a step
    #[arg(long, default_value_t = 256, value_name = "N")]
    pub batch_size: usize,
    /// Highest learning rate
    #[arg(long, default_value_t = 5e-4, value_name = "X")]
    pub lr: f64,
    /// Steps over which the rate rises from 0 (the paper's 2000 go with its 400,000 steps)
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub warmup: u64,
    /// Decay of weights that are not gains or biases
    #[arg(long, default_value_t = 0.2, value_name = "X")]
    pub weight_decay: f64,
    /// Numbers of matrix products and convolutions, fp32, bf16 or fp16; weights and sums stay in 32 bits
    #[arg(long, default_value = "bf16", value_name = "KIND")]
    pub precision: training::Precision,
    /// How training images vary: crop (0.9 to 1 of the area), flip-shift (mirrored and moved by an eighth) or none
    #[arg(long, default_value = "crop", value_name = "KIND")]
    pub augment: training::Augment,
    /// Whether pairs of one batch with the same caption count as negatives, as in CLIP, or as positives
    #[arg(long, default_value = "negatives", value_name = "KIND")]
    pub same_caption: training::SameCaption,
    /// Seed of the weights, the order and the augmentation
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Loader threads [default: as many as cores]
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
    /// Steps between checkpoints [default: as many as 10 minutes take]
    #[arg(long, value_name = "N")]
    pub checkpoint_every: Option<u64>,
    /// Where to compute: auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto", value_name = "NAME")]
    pub device: training::DeviceChoice,
    /// Go on from the last checkpoint, or start when there is none
    #[arg(long)]
    pub resume: bool,
}

/// Evaluation tasks.
#[derive(Subcommand, Debug)]
pub enum Eval {
    /// Classify a manifest's labelled split by class names and prompt templates
    ZeroShot(ZeroShot),
}

/// Flags of `eval zero-shot`.
#[derive(Args, Debug)]
pub struct ZeroShot {
    /// Run folder or checkpoint folder
    #[arg(long, value_name = "DIR")]
    pub checkpoint: PathBuf,
    /// Manifest with labels, and classes.json beside it
    #[arg(long, value_name = "FILE")]
    pub manifest: PathBuf,
    /// Split to classify
    #[arg(long, default_value = "val", value_name = "NAME")]
    pub split: String,
    /// Prompt templates: plain, simple, counted, cifar, imagenet7, or a file with one template per line and {} for the class name, {s} for its plural
    #[arg(long, default_value = "simple", value_name = "NAME")]
    pub templates: String,
    /// Images per batch
    #[arg(long, default_value_t = 256, value_name = "N")]
    pub batch_size: usize,
    /// Numbers of matrix products and convolutions, fp32, bf16 or fp16
    #[arg(long, default_value = "bf16", value_name = "KIND")]
    pub precision: training::Precision,
    /// Where to compute: auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto", value_name = "NAME")]
    pub device: training::DeviceChoice,
    /// JSON file for the results with every prediction [default: evals/zero-shot-SPLIT.json in the run]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// What is done with models.
#[derive(Subcommand, Debug)]
pub enum Model {
    /// Print size, shape and number of parameters of models, one line of JSON each
    Show(ModelShow),
    /// Write a model as diptych, open_clip or Hugging Face's transformers read it
    Convert(ModelConvert),
}

/// Flags of `model show`.
#[derive(Args, Debug)]
pub struct ModelShow {
    /// Names of models, files of weights (.safetensors, .pt, .bin), folders with one, or runs [default: all models that come with the program]
    #[arg(value_name = "NAME|PATH")]
    pub models: Vec<String>,
}

/// The activation of a transformer's perceptrons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Activation {
    /// x * sigmoid(1.702 x), as in all of OpenAI's weights
    QuickGelu,
    /// the exact GELU
    Gelu,
}

/// Flags of `model convert`.
#[derive(Args, Debug)]
pub struct ModelConvert {
    /// File of weights of diptych, OpenAI, open_clip or Hugging Face (.safetensors, .pt, .bin), folder with one, or run
    #[arg(value_name = "PATH")]
    pub weights: PathBuf,
    /// Whose names and description: diptych (the names are OpenAI's), open-clip, hugging-face
    #[arg(long, value_name = "LIBRARY")]
    pub to: training::Layout,
    /// Folder for the model; must not be there
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Type of the numbers written, fp32, bf16 or fp16
    #[arg(long, default_value = "fp32", value_name = "KIND")]
    pub precision: training::Precision,
    /// Side of the pictures in pixels for which tables of positions are resized [default: the model's]
    #[arg(long, value_name = "PIXELS")]
    pub image_size: Option<i64>,
    /// Activation, which a file without a description cannot say [default: as described, else quick-gelu]
    #[arg(long, value_enum, value_name = "KIND")]
    pub activation: Option<Activation>,
}

/// What is done with tokenizers.
#[derive(Subcommand, Debug)]
pub enum Tokenizer {
    /// Learn byte-pair merges from the captions of manifests
    Train(TokenizerTrain),
    /// Print the ids of lines of text, one JSON array a line
    Encode(TokenizerEncode),
}

/// Flags of `tokenizer train`.
#[derive(Args, Debug)]
pub struct TokenizerTrain {
    /// Manifest whose captions of split `train` are learned from; may be given several times
    #[arg(long, required = true, value_name = "FILE")]
    pub manifest: Vec<PathBuf>,
    /// Number of ids, 514 at least: 512 bytes, start, end, and one for each merge
    #[arg(long, default_value_t = 49_408, value_name = "N")]
    pub vocab_size: usize,
    /// Where the merges go
    #[arg(long, default_value = "merges.txt.gz", value_name = "FILE")]
    pub out: PathBuf,
}

/// Flags of `tokenizer encode`.
#[derive(Args, Debug)]
pub struct TokenizerEncode {
    /// Text with one caption a line [default: stdin]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Merges file [default: CLIP's]
    #[arg(long, value_name = "FILE")]
    pub tokenizer: Option<PathBuf>,
    /// Most ids of a text, start and end included
    #[arg(long, default_value_t = 77, value_name = "N")]
    pub context_length: usize,
    /// Lines are JSON strings, which may hold line breaks
    #[arg(long)]
    pub json: bool,
}

/// How `sql` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TableFormat {
    /// Aligned text.
    Table,
    /// Comma-separated values with a header.
    Csv,
    /// A Parquet file of one answer.
    Parquet,
    /// JSON lines: one object a row.
    Json,
    /// The same as json.
    Jsonl,
}

/// Flags of `sql`.
#[derive(Args, Debug)]
pub struct Sql {
    /// Corpus folder
    #[arg(long, default_value = "corpus", value_name = "DIR")]
    pub corpus: PathBuf,
    /// Folder with runs
    #[arg(long, default_value = "runs", value_name = "DIR")]
    pub runs: PathBuf,
    /// Folder with shards or imported data; may be given several times [default: corpus-shards if it is there]
    #[arg(long, value_name = "DIR")]
    pub shards: Vec<PathBuf>,
    /// Run the statements of this text and stop
    #[arg(short = 'c', value_name = "SQL", conflicts_with = "file", allow_hyphen_values = true)]
    pub command: Option<String>,
    /// Run the statements of this file and stop
    #[arg(short = 'f', value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Value for :NAME in the statements, put in as a literal: a number, else text; may be given several times
    #[arg(long, value_name = "NAME=VALUE")]
    pub param: Vec<String>,
    /// How results are printed
    #[arg(long, value_enum, default_value_t = TableFormat::Table, value_name = "KIND")]
    pub format: TableFormat,
    /// File for the results instead of stdout; appears when all is answered
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Flags of `status`.
#[derive(Args, Debug)]
pub struct Status {
    /// Corpus folder
    #[arg(long, default_value = "corpus", value_name = "DIR")]
    pub corpus: PathBuf,
    /// Folder with shards; may be given several times [default: corpus-shards if it is there]
    #[arg(long, value_name = "DIR")]
    pub shards: Vec<PathBuf>,
    /// Folder with runs
    #[arg(long, default_value = "runs", value_name = "DIR")]
    pub runs: PathBuf,
}

/// Flags of `remove`.
#[derive(Args, Debug)]
pub struct Remove {
    /// Address of an image or of a page; may be given several times, as the next three
    #[arg(long, value_name = "URL")]
    pub url: Vec<String>,
    /// Host of images or pages: example.org with any port, example.org:8080, or *.example.org with all names below
    #[arg(long, value_name = "NAME")]
    pub host: Vec<String>,
    /// Image id (BLAKE3 of the file as received, 64 hex digits) or pixel hash (32)
    #[arg(long, value_name = "HEX")]
    pub hash: Vec<String>,
    /// Pair id, 32 hex digits
    #[arg(long, value_name = "ID")]
    pub pair: Vec<String>,
    /// Corpus folder
    #[arg(long, default_value = "corpus", value_name = "DIR")]
    pub corpus: PathBuf,
    /// Folder with shards or imported data, or its address; may be given several times [default: corpus-shards if it is there]
    #[arg(long, value_name = "DIR")]
    pub shards: Vec<PathBuf>,
    /// Folder with runs, for the list of those that trained on it
    #[arg(long, default_value = "runs", value_name = "DIR")]
    pub runs: PathBuf,
}

/// Flags of `verify`.
#[derive(Args, Debug)]
pub struct Verify {
    /// Corpora, folders of shards or imported data, runs, or folders of runs; addresses of shards too, such as s3://bucket/shards [default:
    /// corpus, corpus-shards and runs, those that are there]
    #[arg(value_name = "DIR")]
    pub folders: Vec<PathBuf>,
    /// Rebuild what can be rebuilt from what is whole: shards from the manifest they were made from, a manifest, counts and sums from
    /// archives, pool members from their rows; then check again and list what cannot
    #[arg(long)]
    pub repair: bool,
}

/// Flags of `report`.
#[derive(Args, Debug)]
pub struct Report {
    /// Corpus folder [default: corpus if it is there and no run is given]
    #[arg(long, value_name = "DIR")]
    pub corpus: Option<PathBuf>,
    /// Selection of the corpus that is shown
    #[arg(long, default_value = "default", value_name = "NAME")]
    pub selection: String,
    /// Folder of a run
    #[arg(long, value_name = "DIR")]
    pub run: Option<PathBuf>,
    /// Manifest that the run was trained or evaluated on: its captions tell which classes were seen, its pictures are shown with
    /// predictions; may be given several times
    #[arg(long, value_name = "FILE")]
    pub manifest: Vec<PathBuf>,
    /// Heading of the page [default: names what is shown]
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
    /// Where the page goes [default: report.html in the run, else in the corpus]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Flags of `demo`.
#[derive(Args, Debug)]
pub struct Demo {
    /// Folder for everything the demo makes; the same command goes on where it stopped
    #[arg(long, default_value = "demo-out", value_name = "DIR")]
    pub out: PathBuf,
    /// Seed of the web, of the corpus and of the training
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Port of loopback that the small web is served on, 0 = any; it is part of every image's URL, so of its identity too
    #[arg(long, default_value_t = 18_471, value_name = "N")]
    pub port: u16,
    /// Make a web of a tenth of the size and train briefly: to try the plumbing, not to learn
    #[arg(long)]
    pub quick: bool,
}
