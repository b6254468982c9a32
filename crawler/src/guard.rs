//! Keeps a crawl out of networks it has no business in: which addresses may be connected to.
//!
//! Links come from strangers, so a public page may name a router's address, and a public name may resolve to one. Names are
//! therefore resolved here, and exactly the addresses that pass are given to the client; URLs with an address in them are
//! checked before each request, redirects included.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustc_hash::FxHashMap;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use url::{Host, Url};

/// What an address is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The public internet.
    Public,
    /// This machine or a private network: loopback, RFC 1918, shared (RFC 6598) and unique local addresses.
    Private,
    /// Never a web server that should be crawled: unspecified, link-local (where clouds serve their credentials), multicast,
    /// documentation, benchmarking, reserved.
    Never,
}

/// Classifies an address by the IANA special-purpose registries (RFC 6890 and successors).
pub(crate) fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => reach_v6(address),
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    match address.octets() {
        [127 | 10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Reach::Private,
        [0, ..] | [169, 254, ..] | [192, 0, 0 | 2, _] | [192, 88, 99, _] => Reach::Never,
        [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] | [224..=255, ..] => Reach::Never,
        _ => Reach::Public,
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    let parts = address.segments();
    let embedded = |high: u16, low: u16| {
        let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
        reach_v4(Ipv4Addr::new(a, b, c, d))
    };
    match parts {
        [0, 0, 0, 0, 0, 0, 0, 1] => Reach::Private,
        // IPv4-mapped, and NAT64's well-known prefix: as the address inside.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        // 6to4 carries an IPv4 address; only a public one makes sense.
        [0x2002, high, low, ..] if embedded(high, low) == Reach::Public => Reach::Public,
        [0x2002, ..] => Reach::Never,
        // Protocol assignments (Teredo, benchmarking, ORCHID) and documentation.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Reach::Never,
        [0x2000..=0x3fff, ..] => Reach::Public,
        [0xfc00..=0xfdff, ..] => Reach::Private,
        _ => Reach::Never,
    }
}

/// Whether a URL's host is known, without asking anyone, to be on this machine or a private network.
pub(crate) fn is_private_host(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => reach_v4(address) != Reach::Public,
        Some(Host::Ipv6(address)) => reach_v6(address) != Reach::Public,
        Some(Host::Domain(name)) => is_local_name(name),
        None => false,
    }
}

/// Whether a name is `localhost` or one under it, with or without the root's dot; any case.
fn is_local_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// Which addresses may be connected to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guard {
    /// Private networks may be asked.
    pub(crate) private: bool,
    /// The public internet may be asked: a contact address is given.
    pub(crate) public: bool,
}

/// Why an address is not connected to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{address} is {why}")]
pub(crate) struct Refused {
    address: String,
    why: &'static str,
}

impl Guard {
    /// Judges one address.
    pub(crate) fn permit(&self, address: IpAddr) -> Result<(), Refused> {
        let why = match reach(address) {
            Reach::Public if self.public => return Ok(()),
            Reach::Private if self.private => return Ok(()),
            Reach::Public => "a public address, which needs --contact",
            Reach::Private => "a private address, which needs --allow-private",
            Reach::Never => "an address that is not for web servers",
        };
        Err(Refused { address: address.to_string(), why })
    }

    /// Judges the address in a URL, or the name if it is this machine's; other names are judged when they are resolved.
    pub(crate) fn permit_url(&self, url: &Url) -> Result<(), Refused> {
        match url.host() {
            Some(Host::Ipv4(address)) => self.permit(address.into()),
            Some(Host::Ipv6(address)) => self.permit(address.into()),
            Some(Host::Domain(name)) if is_local_name(name) => self.permit(Ipv4Addr::LOCALHOST.into()),
            _ => Ok(()),
        }
    }

    /// The addresses of a name that may be connected to; an error when none may.
    fn permit_all(&self, addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, Refused> {
        let mut refused = None;
        let mut permitted = Vec::new();
        for address in addresses {
            match self.permit(address.ip()) {
                Ok(()) => permitted.push(address),
                Err(why) => refused = Some(why),
            }
        }
        match refused {
            Some(why) if permitted.is_empty() => Err(why),
            _ => Ok(permitted),
        }
    }
}

/// A name that no resolver knows, or that no resolver answers for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} cannot be resolved")]
pub(crate) struct Unknown(pub(crate) String);

type Looked = Pin<Box<dyn Future<Output = std::io::Result<Vec<SocketAddr>>> + Send>>;

/// How long addresses are believed; the system's resolver does not say how long they hold.
const BELIEVED: Duration = Duration::from_secs(300);
/// How long a name that could not be resolved is not asked for again.
const FORGIVEN: Duration = Duration::from_secs(30);
/// Names remembered, about 200 bytes each. When full, all are forgotten and asked for again.
const MAX_NAMES: usize = 1 << 16;
/// Questions to the system at a time: each takes a thread while it waits.
const MAX_QUESTIONS: usize = 64;

/// What is known of a name: until when, and its addresses if it has any. Locked while it is asked for, so that it is asked for once.
type Known = tokio::sync::Mutex<Option<(Instant, Option<Vec<SocketAddr>>)>>;

/// Resolves names for the client and withholds the addresses that the guard refuses. Remembers answers; a name is judged again
/// each time, and the client connects to the very addresses that passed.
#[derive(Clone)]
pub(crate) struct Resolver {
    guard: Guard,
    lookup: Arc<dyn Fn(String) -> Looked + Send + Sync>,
    names: Arc<Mutex<FxHashMap<String, Arc<Known>>>>,
    questions: Arc<Semaphore>,
}

impl Resolver {
    /// Asks the system's resolver; names under `localhost` are this machine without asking (RFC 6761, 6.3).
    pub(crate) fn system(guard: Guard) -> Self {
        let lookup = |name: String| -> Looked {
            if is_local_name(&name) {
                let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
                return Box::pin(std::future::ready(Ok(loopback.map(|address| (address, 0).into()).to_vec())));
            }
            Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
        };
        Resolver::new(guard, Arc::new(lookup))
    }

    /// Asks `lookup`.
    pub(crate) fn new(guard: Guard, lookup: Arc<dyn Fn(String) -> Looked + Send + Sync>) -> Self {
        Resolver { guard, lookup, names: Arc::default(), questions: Arc::new(Semaphore::new(MAX_QUESTIONS)) }
    }

    /// All addresses of a name, from memory if they are fresh.
    async fn addresses(&self, name: String) -> Result<Vec<SocketAddr>, Unknown> {
        let known = {
            let mut names = self.names.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            if names.len() >= MAX_NAMES {
                names.clear();
            }
            names.entry(name.clone()).or_default().clone()
        };
        let mut known = known.lock().await;
        if let Some((until, addresses)) = known.as_ref()
            && *until > Instant::now()
        {
            return addresses.clone().ok_or(Unknown(name));
        }
        // Never closed, so this cannot fail.
        let _question = self.questions.acquire().await;
        let found = (self.lookup)(name.clone()).await.ok().filter(|addresses| !addresses.is_empty());
        let fresh = if found.is_some() { BELIEVED } else { FORGIVEN };
        *known = Some((Instant::now() + fresh, found.clone()));
        found.ok_or(Unknown(name))
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let addresses = resolver.addresses(name.as_str().to_string()).await?;
            let permitted: Addrs = Box::new(resolver.guard.permit_all(addresses)?.into_iter());
            Ok(permitted)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach_of(text: &str) -> Reach {
        reach(text.parse().expect("an address"))
    }

    #[test]
    fn addresses_are_classified() {
        for public in
            ["8.8.8.8", "100.63.255.255", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
        {
            assert_eq!(reach_of(public), Reach::Public, "{public}");
        }
        for private in
            ["127.0.0.1", "127.9.9.9", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd00::1", "::ffff:10.0.0.1"]
        {
            assert_eq!(reach_of(private), Reach::Private, "{private}");
        }
        let never = [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "192.0.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "::ffff:169.254.169.254",
            "::7f00:1",
            "2002:7f00:1::1",
            "64:ff9b::a9fe:a9fe",
            "fec0::1",
            "100::1",
            "3fff::1",
        ];
        for address in never {
            assert_eq!(reach_of(address), Reach::Never, "{address}");
        }
    }

    #[test]
    fn odd_spellings_of_loopback_are_seen() {
        let guard = Guard { private: false, public: true };
        for url in ["http://127.1/", "http://0x7f000001/", "http://2130706433/", "http://0177.0.0.1/", "http://[::ffff:127.0.0.1]/"] {
            assert!(guard.permit_url(&Url::parse(url).expect("a URL")).is_err(), "{url}");
        }
        assert!(guard.permit_url(&Url::parse("http://8.8.8.8/").expect("a URL")).is_ok());
    }

    #[test]
    fn private_needs_leave_and_public_needs_a_contact() {
        let (home, far): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), [8, 8, 8, 8].into());
        assert!(Guard { private: true, public: false }.permit(home).is_ok());
        assert!(Guard { private: true, public: false }.permit(far).expect_err("refused").to_string().contains("--contact"));
        assert!(Guard { private: false, public: true }.permit(home).expect_err("refused").to_string().contains("--allow-private"));
    }

    #[tokio::test]
    async fn names_under_localhost_are_this_machine_and_need_leave() {
        let resolve = async |private, name: &str| {
            let resolver = Resolver::system(Guard { private, public: true });
            resolver.resolve(name.parse().expect("a name")).await.map(|found| found.map(|address| address.ip()).collect::<Vec<IpAddr>>())
        };
        let here = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
        for name in ["localhost", "photos.localhost", "a.B.LOCALHOST", "x.localhost."] {
            assert_eq!(resolve(true, name).await.expect("resolved"), here, "{name}");
            assert!(resolve(false, name).await.is_err(), "{name}");
        }
        assert!(!is_local_name("notlocalhost") && !is_local_name("localhost.example"));
    }

    #[tokio::test]
    async fn names_give_only_safe_addresses() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let record = asked.clone();
        let lookup = move |name: String| -> Looked {
            record.lock().expect("unpoisoned").push(name.clone());
            let addresses: &[&str] = if name == "mixed.test" { &["10.0.0.1:0", "8.8.8.8:0"] } else { &["169.254.169.254:0"] };
            let addresses = addresses.iter().map(|text| text.parse().expect("an address")).collect();
            Box::pin(std::future::ready(Ok(addresses)))
        };
        let resolver = Resolver::new(Guard { private: false, public: true }, Arc::new(lookup));
        let mixed = resolver.resolve("mixed.test".parse().expect("a name")).await.expect("resolved");
        assert_eq!(mixed.map(|address| address.ip()).collect::<Vec<IpAddr>>(), [IpAddr::from([8, 8, 8, 8])]);
        let error = resolver.resolve("rebind.test".parse().expect("a name")).await.err().expect("refused");
        assert!(error.downcast_ref::<Refused>().is_some());
        // Known now: judged again without being asked for again.
        assert!(resolver.resolve("rebind.test".parse().expect("a name")).await.is_err());
        assert_eq!(*asked.lock().expect("unpoisoned"), ["mixed.test", "rebind.test"]);
    }

    #[tokio::test]
    async fn names_without_an_address_are_unknown() {
        let lookup = |_: String| -> Looked { Box::pin(std::future::ready(Err(std::io::Error::other("no such name")))) };
        let resolver = Resolver::new(Guard { private: false, public: true }, Arc::new(lookup));
        let error = resolver.resolve("nowhere.test".parse().expect("a name")).await.err().expect("refused");
        assert_eq!(error.downcast_ref::<Unknown>(), Some(&Unknown("nowhere.test".to_string())));
    }
}
