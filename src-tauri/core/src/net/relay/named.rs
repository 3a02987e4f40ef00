//! Decides which relays named by others may be asked.
//!
//! Links, records, pkarr servers, the DHT and the stored records of devices all name relays, and whoever wrote them
//! chose the address. One rule holds for all of them: TLS, and a public host. This prevents others from making this
//! device send requests to itself, to the router or to a server on the local network (SSRF). Relays that the user has
//! configured are always allowed, and so are other TLS servers on the same hosts.
//!
//! The rule is applied where a connection is made ([`NamedServers::filter`]) and to looked-up addresses ([`Checked`]).
//! In addition, the name of a relay that the user has not configured must not resolve to a private address
//! ([`PublicResolver`]).

use std::{
    collections::HashSet,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Arc, RwLock},
    time::Duration,
};

use iroh::{
    EndpointAddr, EndpointId, RelayUrl, TransportAddr,
    address_lookup::{AddressLookup, EndpointData, EndpointInfo, Error, Item},
    dns::{BoxIter, DnsError, DnsResolver, Resolver, TxtRecordData},
};
use n0_future::{StreamExt, boxed::BoxFuture, boxed::BoxStream};
use url::{Host, Url};

use crate::{
    clock::SharedLocked as _,
    net::{Infrastructure, Relays},
};

/// Domains of local networks, by standard or by habit.
const LOCAL_DOMAINS: &[&str] = &["localhost", "local", "internal", "intranet", "lan", "home", "home.arpa", "corp"];
/// Deadline of one DNS lookup. Callers have shorter ones.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// Servers that the user has configured. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(in crate::net) struct NamedServers(Arc<RwLock<Configured>>);

#[derive(Debug, Default)]
struct Configured {
    relays: Vec<RelayUrl>,
    /// Hosts that may have private addresses.
    hosts: HashSet<String>,
}

impl NamedServers {
    /// Replaces the set of the user's servers.
    pub fn set(&self, servers: &Infrastructure) {
        let relays = match &servers.relays {
            Relays::None | Relays::Public => Vec::new(),
            Relays::Own(own) | Relays::OwnAndPublic(own) => own.clone(),
        };
        let urls = relays.iter().map(|relay| &**relay).chain(&servers.pkarr);
        let hosts = urls.filter_map(|url| url.host_str().map(plain_host)).collect();
        *self.0.write_locked() = Configured { relays, hosts };
    }

    /// True if a relay that somebody else has named may be asked.
    pub fn may_ask(&self, relay: &RelayUrl) -> bool {
        let configured = self.0.read_locked();
        configured.relays.iter().any(|own| is_same_server(own, relay))
            || is_public_server(relay)
            // By configuring a server on a host, the user has allowed requests to this host.
            || (is_plain_https(relay) && relay.host_str().is_some_and(|host| configured.hosts.contains(&plain_host(host))))
    }

    /// Removes the relays that may not be asked from an address.
    pub fn filter(&self, address: EndpointAddr) -> EndpointAddr {
        let may_stay = |at: &TransportAddr| match at {
            TransportAddr::Relay(relay) => {
                let may = self.may_ask(relay);
                if !may {
                    tracing::info!(%relay, "a relay that somebody else named is not asked");
                }
                may
            }
            _ => true,
        };
        EndpointAddr::from_parts(address.id, address.addrs.into_iter().filter(may_stay))
    }

    fn is_own_host(&self, host: &str) -> bool {
        self.0.read_locked().hosts.contains(&plain_host(host))
    }
}

fn plain_host(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

/// True if two URLs name one server; their paths may differ.
fn is_same_server(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host_str().map(plain_host) == other.host_str().map(plain_host)
        && one.port_or_known_default() == other.port_or_known_default()
}

fn is_plain_https(url: &Url) -> bool {
    url.scheme() == "https" && url.username().is_empty() && url.password().is_none() && url.query().is_none()
}

fn is_public_server(url: &Url) -> bool {
    let public = match url.host() {
        Some(Host::Ipv4(ip)) => is_public(ip.into()),
        Some(Host::Ipv6(ip)) => is_public(ip.into()),
        Some(Host::Domain(name)) => is_public_name(name),
        None => false,
    };
    is_plain_https(url) && public
}

fn is_public_name(name: &str) -> bool {
    let name = plain_host(name);
    let is_local = |domain: &&str| name == **domain || name.ends_with(&format!(".{domain}"));
    // A name without a dot is resolved within the local domain.
    name.contains('.') && !LOCAL_DOMAINS.iter().any(is_local)
}

/// True for an address of the internet. Addresses for documentation belong to nobody, and count as public.
fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let shared = a == 100 && b & 0xc0 == 64;
    let special = a == 0 || a >= 240 || (a, b, c) == (192, 0, 0) || (a == 198 && b & 0xfe == 18);
    !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_multicast() || shared || special)
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, g, h] = ip.segments();
    let embedded = |high: u16, low: u16| is_public_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match (a, b) {
        // NAT64 (the IPv4 internet behind a translator) and 6to4: the embedded address decides.
        (0x64, 0xff9b) => (c, d, e, f) == (0, 0, 0, 0) && embedded(g, h),
        (0x2002, _) => embedded(b, c),
        (0x2001, 0) => false,
        // Global unicast. All others are loopback, local, multicast or unassigned.
        _ => a & 0xe000 == 0x2000,
    }
}

/// Address lookup whose answers are stripped of relays that may not be asked.
#[derive(Debug)]
pub(in crate::net) struct Checked<L>(pub L, pub NamedServers);

impl<L: AddressLookup> AddressLookup for Checked<L> {
    fn publish(&self, data: &EndpointData) {
        self.0.publish(data);
    }

    fn resolve(&self, id: EndpointId) -> Option<BoxStream<Result<Item, Error>>> {
        let named = self.1.clone();
        let found = self.0.resolve(id)?;
        Some(Box::pin(found.map(move |item| {
            item.map(|item| {
                let (provenance, updated) = (item.provenance(), item.last_updated());
                Item::new(EndpointInfo::from(named.filter(item.into_endpoint_addr())), provenance, updated)
            })
        })))
    }
}

/// Resolves names, and returns private addresses only for hosts of the user's own servers: the owner of a public name
/// can point it anywhere.
pub(in crate::net) struct PublicResolver {
    resolver: DnsResolver,
    named: NamedServers,
}

impl PublicResolver {
    pub fn over(resolver: DnsResolver, named: NamedServers) -> DnsResolver {
        DnsResolver::custom(Self { resolver, named })
    }
}

impl fmt::Debug for PublicResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublicResolver")
    }
}

/// Filters the resolved addresses of a host.
fn allowed(named: &NamedServers, host: &str, found: impl Iterator<Item = IpAddr>) -> Vec<IpAddr> {
    let own = named.is_own_host(host);
    found.filter(|ip| own || is_public(*ip)).collect()
}

impl Resolver for PublicResolver {
    fn lookup_ipv4(&self, host: String) -> BoxFuture<Result<BoxIter<Ipv4Addr>, DnsError>> {
        let (resolver, named) = (self.resolver.clone(), self.named.clone());
        Box::pin(async move {
            let found = resolver.lookup_ipv4(&host, LOOKUP_TIMEOUT).await?;
            let v4 = |ip| if let IpAddr::V4(ip) = ip { Some(ip) } else { None };
            Ok(Box::new(allowed(&named, &host, found).into_iter().filter_map(v4)) as BoxIter<_>)
        })
    }

    fn lookup_ipv6(&self, host: String) -> BoxFuture<Result<BoxIter<Ipv6Addr>, DnsError>> {
        let (resolver, named) = (self.resolver.clone(), self.named.clone());
        Box::pin(async move {
            let found = resolver.lookup_ipv6(&host, LOOKUP_TIMEOUT).await?;
            let v6 = |ip| if let IpAddr::V6(ip) = ip { Some(ip) } else { None };
            Ok(Box::new(allowed(&named, &host, found).into_iter().filter_map(v6)) as BoxIter<_>)
        })
    }

    fn lookup_txt(&self, host: String) -> BoxFuture<Result<BoxIter<TxtRecordData>, DnsError>> {
        let resolver = self.resolver.clone();
        Box::pin(async move {
            let found: Vec<_> = resolver.lookup_txt(&host, LOOKUP_TIMEOUT).await?.collect();
            Ok(Box::new(found.into_iter()) as BoxIter<_>)
        })
    }

    fn clear_cache(&self) {
        self.resolver.clear_cache();
    }

    fn reset(&self) -> Box<dyn Resolver> {
        self.resolver.reset();
        Box::new(Self { resolver: self.resolver.clone(), named: self.named.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relay(url: &str) -> RelayUrl {
        url.parse().unwrap()
    }

    fn configured(urls: &[&str]) -> NamedServers {
        let named = NamedServers::default();
        let relays = Relays::Own(urls.iter().map(|url| relay(url)).collect());
        let pkarr = Some("http://10.0.0.9:8080/pkarr".parse().unwrap());
        named.set(&Infrastructure { relays, pkarr, dht: None, public_dns: false });
        named
    }

    #[test]
    fn what_somebody_else_named_has_tls_and_a_public_host() {
        let named = NamedServers::default();
        for url in [
            "https://relay.example.org",
            "https://relay.example.org.:8443/",
            "https://198.51.100.10",
            "https://[2001:db8::1]:7843",
            "https://euc1-1.relay.n0.iroh.link./",
            "https://[64:ff9b::c633:640a]/",
        ] {
            assert!(named.may_ask(&relay(url)), "{url}");
        }
        for url in [
            "http://relay.example.org",
            "http://127.0.0.1:8080",
            "https://127.0.0.1",
            "https://localhost:8443",
            "https://LOCALHOST.",
            "https://router",
            "https://nas.local",
            "https://vault.internal.",
            "https://printer.home.arpa",
            "https://0.0.0.0",
            "https://0x7f000001",
            "https://2130706433",
            "https://10.1.2.3",
            "https://172.16.0.1",
            "https://192.168.1.1",
            "https://169.254.169.254",
            "https://100.64.0.1",
            "https://198.18.0.1",
            "https://224.0.0.1",
            "https://255.255.255.255",
            "https://[::]",
            "https://[::1]",
            "https://[::ffff:192.168.1.1]",
            "https://[::ffff:7f00:1]",
            "https://[fe80::1]",
            "https://[fd00::1]",
            "https://[ff02::1]",
            "https://[64:ff9b::a00:1]",
            "https://[2002:c0a8:101::1]",
            "https://[2001:0:1::1]",
            "https://user@relay.example.org",
            "https://relay.example.org/?x=1",
        ] {
            assert!(!named.may_ask(&relay(url)), "{url}");
        }
    }

    #[test]
    fn what_the_person_configured_is_asked_and_what_has_tls_on_the_same_host() {
        let named = configured(&["http://127.0.0.1:3340", "https://nas.local"]);
        for url in
            ["http://127.0.0.1:3340/", "http://127.0.0.1:3340/1", "https://NAS.local.:443/", "https://nas.local:8443"]
        {
            assert!(named.may_ask(&relay(url)), "{url}");
        }
        for url in ["http://127.0.0.1:3341", "https://127.0.0.2:3340", "http://nas.local", "http://10.0.0.9:8080"] {
            assert!(!named.may_ask(&relay(url)), "{url}");
        }
        // The user's servers may be removed while the node runs.
        named.set(&Infrastructure { relays: Relays::None, pkarr: None, dht: None, public_dns: false });
        assert!(!named.may_ask(&relay("http://127.0.0.1:3340")));
    }

    #[test]
    fn an_address_keeps_all_but_the_relays_that_may_not_be_asked() {
        let id = iroh::SecretKey::from_bytes(&[7; 32]).public();
        let address = EndpointAddr::new(id)
            .with_ip_addr("192.168.1.20:11204".parse().unwrap())
            .with_relay_url(relay("http://127.0.0.1:1"))
            .with_relay_url(relay("https://relay.example.org"));
        let left = NamedServers::default().filter(address);
        assert_eq!(left.ip_addrs().count(), 1, "a device of the LAN is at a private address");
        assert_eq!(left.relay_urls().collect::<Vec<_>>(), [&relay("https://relay.example.org")]);
    }

    #[test]
    fn a_public_name_does_not_lead_to_a_private_address() {
        let named = configured(&["https://relay.example.net"]);
        let found = ["192.168.1.1", "203.0.113.5", "127.0.0.1", "::1", "fd00::1", "2001:db8::5"];
        let found: Vec<IpAddr> = found.iter().map(|ip| ip.parse().unwrap()).collect();
        let left = allowed(&named, "relay.example.org", found.iter().copied());
        assert_eq!(left, ["203.0.113.5".parse::<IpAddr>().unwrap(), "2001:db8::5".parse().unwrap()]);
        assert_eq!(allowed(&named, "Relay.example.net.", found.iter().copied()), found, "the person's own");
    }

    /// Lookup that returns these relays.
    #[derive(Debug)]
    struct Source(Vec<RelayUrl>);

    impl AddressLookup for Source {
        fn resolve(&self, id: EndpointId) -> Option<BoxStream<Result<Item, Error>>> {
            let info = self.0.iter().cloned().fold(EndpointInfo::new(id), EndpointInfo::with_relay_url);
            Some(Box::pin(n0_future::stream::once(Ok(Item::new(info, "source", None)))))
        }
    }

    #[tokio::test]
    async fn what_is_looked_up_is_checked() {
        let id = iroh::SecretKey::from_bytes(&[7; 32]).public();
        let source = Source(vec![relay("http://127.0.0.1:1"), relay("https://relay.example.org")]);
        let checked = Checked(source, NamedServers::default());
        let found: Vec<_> = checked.resolve(id).unwrap().collect().await;
        let address = found.into_iter().next().unwrap().unwrap().into_endpoint_addr();
        assert_eq!(address.relay_urls().collect::<Vec<_>>(), [&relay("https://relay.example.org")]);
    }
}
