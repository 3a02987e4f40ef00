//! A node under attack, two honest devices beside it, and hostile ones. The honest devices are the measure: their
//! actions take less than twice the usual time during an attack. The node itself stays below its ceilings, also after a
//! restart.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use iroh::endpoint::QuicTransportConfig;
use serde_json::json;
use tokio::{runtime::Runtime, sync::mpsc, task::JoinSet};
use yonder_tests::device::{Device, Node};

use crate::{
    ceilings::{DESCRIPTOR_LIMIT, Usage, Watch, shown},
    control::Client,
    honest::{Honest, Usual, Victim},
    pairing,
    peer::{Peer, Session, Target},
    wire::Step,
};

/// Numbers of hostile devices that attack at once, one phase after the other.
pub const HOSTILES: [usize; 2] = [1, 3];
/// Rounds of the honest devices before the attack, and (below) in each phase.
const USUAL_ROUNDS: usize = 3;
const ROUNDS: usize = 2;
/// Longest wait for an attack to be in place. An attack that is thrown out at once may never be in place and is
/// measured all the same.
const IN_PLACE: Duration = Duration::from_secs(10);

/// A hostile device at work.
#[derive(Clone)]
pub struct Hostile {
    pub peer: Arc<Peer>,
    /// The pairing secret; random where the device is not paired.
    pub secret: [u8; 32],
    pub target: Target,
    /// Its number, from 0.
    pub number: usize,
    /// Control connection of the node under attack, for actions of its person that an attack needs, such as sending a
    /// file.
    pub victim: Arc<Client>,
    /// The pairing code, while one is shown.
    pub words: tokio::sync::watch::Receiver<String>,
    ready: mpsc::UnboundedSender<(usize, String)>,
}

impl Hostile {
    /// Reports that the attack is in place, and what it achieved.
    pub fn in_place(&self, what: impl Into<String>) {
        let _ = self.ready.send((self.number, what.into()));
    }

    /// Opens a session by proving the pairing secret.
    pub async fn session(&self, alpn: &[u8]) -> Step<Session> {
        self.peer.session(&self.target, alpn, &self.secret).await
    }

    /// Restarts the attack whenever it is thrown out, until the phase is over.
    pub async fn again_and_again<F: Future<Output = Step<()>>>(&self, attack: impl Fn() -> F) {
        loop {
            let ended = match attack().await {
                Ok(()) => "it came to its end".to_owned(),
                Err(error) => format!("thrown out: {error}"),
            };
            self.in_place(ended);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// The node, its honest neighbours, and the faults found so far.
pub struct Scene {
    pub victim: Device,
    pub control: Arc<Client>,
    pub honest: Vec<Honest>,
    pub runtime: Runtime,
    node: Option<Node>,
    code: Mutex<()>,
    words: tokio::sync::watch::Sender<String>,
    arguments: Vec<String>,
    before: Usage,
    limits: Usual,
    faults: Vec<String>,
}

impl Scene {
    /// Starts a node and two honest devices paired with it, and measures their usual times.
    pub fn new() -> Self {
        Self::with(Device::loopback("victim"), &[])
    }

    /// Starts a scene with this device as the victim, and with further arguments of `serve`.
    pub fn with(mut victim: Device, arguments: &[&str]) -> Self {
        let begun = Instant::now();
        victim.wrap(&["prlimit", &format!("--nofile={DESCRIPTOR_LIMIT}:{DESCRIPTOR_LIMIT}"), "--"]);
        let arguments: Vec<String> =
            ["--accept", "ask"].iter().chain(arguments).map(|argument| (*argument).to_owned()).collect();
        let node = serve(&victim, &arguments);
        let control = Arc::new(Client::to(&victim));
        let honest = vec![Honest::start("honest one", 1), Honest::start("honest two", 2)];
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let mut scene = Self {
            victim,
            control,
            honest,
            runtime,
            node: Some(node),
            code: Mutex::new(()),
            words: tokio::sync::watch::Sender::new(String::new()),
            arguments,
            before: Usage::default(),
            limits: Usual::new(),
            faults: Vec::new(),
        };
        scene.measure_usual(begun);
        scene
    }

    fn node(&self) -> &Node {
        self.node.as_ref().expect("it runs")
    }

    /// Returns the UDP address of the node.
    pub fn target(&self) -> Target {
        Target::of(self.node())
    }

    fn measure_usual(&mut self, begun: Instant) {
        let (id, at) = (self.node().device_id(), self.node().at());
        let victim = Victim { control: &self.control, device_id: &id, at: &at, code: &self.code, on_code: &|_| {} };
        for honest in &self.honest {
            honest.control.must(json!({"cmd": "rename", "name": honest.device.name()}));
            honest.pair(&victim, Duration::from_secs(20)).unwrap_or_else(|error| panic!("an honest pairing: {error}"));
            // The rule is set before the measurement, because it is no part of it.
            let always = |device: &str| json!({"cmd": "trust", "device": device, "level": null, "accept": "always", "up_to": null, "into": null});
            self.control.must(always(&honest.device_id));
            honest.control.must(always(&id));
        }
        let watch = Watch::start(self.node().running.pid(), self.victim.data_dir());
        let mut usual = Usual::new();
        for _ in 0..USUAL_ROUNDS {
            for (who, act, took) in self.round(&victim) {
                let took = took.unwrap_or_else(|error| panic!("without an attack, {act:?} of {who}: {error}"));
                let longest = usual.entry(act).or_insert(took);
                *longest = took.max(*longest);
            }
        }
        self.before = watch.finish();
        println!("FIGURE usual: {usual:.0?}; {:?}; {:.2?} after the beginning", self.before, begun.elapsed());
        self.limits = usual.into_iter().map(|(act, usual)| (act, act.limit(usual))).collect();
    }

    /// Lets both honest devices do every act once, at the same time.
    fn round(&self, victim: &Victim<'_>) -> Vec<(String, crate::honest::Act, Step<Duration>)> {
        let limits = &self.limits;
        std::thread::scope(|scope| {
            let both: Vec<_> =
                self.honest.iter().map(|honest| (honest, scope.spawn(move || honest.round(victim, limits)))).collect();
            both.into_iter()
                .flat_map(|(honest, round)| {
                    let name = honest.device.name();
                    round.join().expect("a round").into_iter().map(move |(act, took)| (name.to_owned(), act, took))
                })
                .collect()
        })
    }

    /// Creates hostile devices that are not paired.
    pub fn unpaired(&self, count: usize, transport: fn() -> QuicTransportConfig) -> Vec<Peer> {
        self.runtime.block_on(async {
            let mut peers = Vec::new();
            for _ in 0..count {
                peers.push(Peer::new(transport()).await);
            }
            peers
        })
    }

    /// Creates hostile devices paired by words, each with its pairing secret.
    #[track_caller]
    pub fn paired(&self, count: usize, transport: fn() -> QuicTransportConfig) -> Vec<(Peer, [u8; 32])> {
        let peers = self.unpaired(count, transport);
        let target = self.target();
        peers
            .into_iter()
            .enumerate()
            .map(|(number, peer)| {
                let shown = self.control.must(json!({"cmd": "pair_host", "approve": true, "words": 3}));
                let words = shown["words"].as_str().expect("words");
                let name = format!("Hostile {number}");
                let secret = self
                    .runtime
                    .block_on(pairing::pair(&peer, &target, words, &name))
                    .unwrap_or_else(|error| panic!("a hostile device pairs as any other does: {error}"));
                (peer, secret)
            })
            .collect()
    }

    /// Sets a rule by which offers of a paired device are accepted.
    #[track_caller]
    pub fn trust(&self, peer: &Peer, up_to: Option<u64>, into: Option<&std::path::Path>) {
        self.control.must(json!({
            "cmd": "trust", "device": peer.device_id(), "level": "other", "accept": "always", "up_to": up_to, "into": into,
        }));
    }

    /// Creates paired hostile devices whose offers are always accepted.
    pub fn trusted(&self, count: usize) -> Vec<(Peer, [u8; 32])> {
        let hostiles = self.paired(count, crate::peer::open_handed);
        for (peer, _) in &hostiles {
            self.trust(peer, None, None);
        }
        hostiles
    }

    /// Creates paired hostile devices, each with a folder into which a rule accepts up to this many bytes a day.
    pub fn ruled(&self, count: usize, up_to: Option<u64>) -> (Vec<(Peer, [u8; 32])>, Vec<std::path::PathBuf>) {
        let hostiles = self.paired(count, crate::peer::open_handed);
        let inboxes: Vec<_> =
            (0..count).map(|number| self.victim.home().join(format!("inbox {count} {number}"))).collect();
        for (inbox, (peer, _)) in inboxes.iter().zip(&hostiles) {
            std::fs::create_dir(inbox).expect("a folder");
            self.trust(peer, up_to, Some(inbox));
        }
        (hostiles, inboxes)
    }

    /// Runs one phase: each hostile device begins the attack, the honest devices do every act twice, and the node's
    /// usage is compared with its ceilings. An attack runs until the phase is over and reports by [`Hostile::in_place`]
    /// that it has begun. The measurement begins when all attacks are in place, so that it never runs without one.
    pub fn during<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        hostiles: Vec<(Peer, [u8; 32])>,
        attack: impl Fn(Hostile) -> F,
    ) {
        self.phase(hostiles, false, attack);
    }

    /// Runs a phase of an attack that needs a pairing code: it is in place when the honest devices enter theirs.
    pub fn during_pairing<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        hostiles: Vec<(Peer, [u8; 32])>,
        attack: impl Fn(Hostile) -> F,
    ) {
        self.phase(hostiles, true, attack);
    }

    fn phase<F: Future<Output = ()> + Send + 'static>(
        &mut self,
        hostiles: Vec<(Peer, [u8; 32])>,
        with_code: bool,
        attack: impl Fn(Hostile) -> F,
    ) {
        let count = hostiles.len();
        let when = format!("during the attack by {count}");
        let watch = Watch::start(self.node().running.pid(), self.victim.data_dir());
        let (ready, mut came) = mpsc::unbounded_channel();
        let (mut tasks, mut peers) = (JoinSet::new(), Vec::new());
        for (number, (peer, secret)) in hostiles.into_iter().enumerate() {
            let peer = Arc::new(peer);
            peers.push(peer.clone());
            let (target, victim, words) = (self.target(), self.control.clone(), self.words.subscribe());
            let work = attack(Hostile { peer, secret, target, number, victim, words, ready: ready.clone() });
            tasks.spawn_on(work, self.runtime.handle());
        }
        let begun = Instant::now();
        let runtime = &self.runtime;
        let came = Mutex::new(&mut came);
        let in_place = || {
            let mut came = came.lock().expect("no panic while it waits");
            let (mut last, mut there) = (String::new(), HashSet::new());
            while there.len() < count {
                let one = runtime.block_on(async { tokio::time::timeout(IN_PLACE, came.recv()).await });
                let Ok(Some((number, what))) = one else {
                    last = "not in place".into();
                    break;
                };
                there.insert(number);
                last = what;
            }
            println!("FIGURE {count} in place {:.2?} after the beginning; the last one: {last}", begun.elapsed());
        };
        let (id, at) = (self.node().device_id(), self.node().at());
        let words = &self.words;
        let on_code = |shown: &str| {
            if with_code {
                // Reports that belong to an earlier code do not count.
                while came.lock().expect("no panic while it waits").try_recv().is_ok() {}
                words.send_replace(shown.to_owned());
                in_place();
            }
        };
        let victim = Victim { control: &self.control, device_id: &id, at: &at, code: &self.code, on_code: &on_code };
        if !with_code {
            in_place();
        }
        let mut faults = Vec::new();
        for _ in 0..ROUNDS {
            let rounds = self.round(&victim);
            println!("FIGURE {when}: {rounds:.0?}");
            for (who, act, took) in rounds {
                let limit = self.limits[&act];
                match took {
                    Ok(took) if took <= limit => {}
                    Ok(took) => faults.push(format!(
                        "{when}: {act:?} of {who} took {took:.2?}; twice its usual time and a grace are {limit:.2?}"
                    )),
                    Err(error) => faults.push(format!("{when}: {act:?} of {who}: {error}; allowed are {limit:.2?}")),
                }
            }
            if !faults.is_empty() {
                break;
            }
        }
        self.runtime.block_on(tasks.shutdown());
        // Everything that the node shows at this moment appears in one of these answers.
        for request in [json!({"cmd": "snapshot"}), json!({"cmd": "transfers", "all": true}), json!({"cmd": "devices"})]
        {
            if let Err(error) = self.control.ask(request.clone()) {
                faults.push(format!("{when}: {} is not answered: {error}", request["cmd"]));
            }
        }
        let most = watch.finish();
        println!(
            "FIGURE {when}: at most {most:?}, a line of {} bytes, {:?}",
            self.control.longest_line(),
            self.control.largest_view()
        );
        faults.extend(most.faults(self.before, &when));
        faults.extend(shown(self.control.longest_line(), self.control.largest_view(), &when));
        self.faults.extend(faults);
        self.runtime.block_on(async {
            for peer in peers {
                // The close is sent and not waited for: a node that hangs would hold up the test.
                let _ = tokio::time::timeout(Duration::from_millis(300), peer.endpoint.close()).await;
            }
        });
    }

    /// Records a fault.
    pub fn fault(&mut self, what: impl Into<String>) {
        self.faults.push(what.into());
    }

    /// Starts the node again, compares it with its ceilings, and reports all faults found.
    #[track_caller]
    pub fn finish(mut self) {
        if let Some(node) = self.node.take() {
            let ended = node.stop();
            if ended.status != Some(0) {
                self.faults.push(format!("the node ended with {:?}:\n{}", ended.status, ended.stderr));
            }
        }
        self.node = Some(serve(&self.victim, &self.arguments));
        let watch = Watch::start(self.node().running.pid(), self.victim.data_dir());
        let control = Client::to(&self.victim);
        for honest in &self.honest {
            // An answer means that the node has found its devices again.
            let heard = control.event(0, Duration::from_secs(5), |event| {
                event["event"] == "device"
                    && event["device"]["device_id"] == honest.device_id
                    && event["device"]["state"] == "connected"
            });
            if heard.is_none() {
                self.faults.push(format!("after a restart: {} is not connected within 5 s", honest.device.name()));
            }
        }
        for request in [json!({"cmd": "snapshot"}), json!({"cmd": "transfers", "all": true}), json!({"cmd": "devices"})]
        {
            if let Err(error) = control.ask(request.clone()) {
                self.faults.push(format!("after a restart: {} is not answered: {error}", request["cmd"]));
            }
        }
        let most = watch.finish();
        println!(
            "FIGURE after a restart: at most {most:?}, a line of {} bytes, {:?}",
            control.longest_line(),
            control.largest_view()
        );
        self.faults.extend(most.faults(self.before, "after a restart"));
        self.faults.extend(shown(control.longest_line(), control.largest_view(), "after a restart"));
        assert!(self.faults.is_empty(), "{} things went wrong:\n- {}", self.faults.len(), self.faults.join("\n- "));
    }
}

#[track_caller]
fn serve(victim: &Device, arguments: &[String]) -> Node {
    victim.serve_with(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}
