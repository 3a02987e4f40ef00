//! From the decision to the last committed file.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use iroh::endpoint::RecvStream;
use tokio::{
    sync::mpsc,
    task::{JoinHandle, JoinSet},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{Receiving, TICK, growing, interruption, next, progress::Said};
use crate::{
    api::{Direction, TransferState},
    error::NetworkError,
    queue::rate_limit::PauseGate,
    transfer::{
        TransferError,
        protocol::{
            claims,
            frames::{Decision, ReceiverFrame, Violation},
            framing::StreamHeader,
            lifecycle::receiver::{ReceiveInput as Input, ReceiveShown as Shown},
            limits::MAX_STREAMS,
            selection,
            state::FromSender,
        },
        receive::{
            assembly::{Assembly, Verdict},
            commit::worker::{self, CommitWorker, Committed},
            data_stream::{self, Arrival, StreamEnd},
            staging::{DiskError, conflicts::Ready},
            stream_router::Route,
        },
    },
};

/// State from the decision to the end.
pub(in crate::transfer) struct Live {
    /// Files of which segments were claimed.
    pub claimed: Vec<u32>,
    pub arrival: Arc<Arrival>,
    pub route: Route,
    pub arrivals: mpsc::Receiver<RecvStream>,
    pub streams: JoinSet<Result<StreamEnd, TransferError>>,
    pub opened: u8,
    pub closed: u8,
    /// Number of data streams that the sender announced in `Finished`.
    pub announced: Option<u8>,
    /// The commit worker.
    pub commit_worker: Option<JoinHandle<Result<(), DiskError>>>,
    /// Results of the commit worker.
    pub committed: Arc<Committed>,
    pub backlog: VecDeque<Verdict>,
    /// Pending `Room` answer for a growing file.
    pub answering: Option<JoinHandle<()>>,
    /// Number of files that get a result.
    pub expected: u32,
    /// Cancels the tasks that read data streams.
    pub stop: CancellationToken,
}

impl Receiving {
    /// Sets up everything that receives data, then sends the decision, the selection and the claims.
    pub(in crate::transfer) async fn start(&mut self, ready: Ready) -> Result<(), NetworkError> {
        let Ready { temp, plan, folders, old, same, entered, rule, landed } = ready;
        let manifest = self.machine.manifest();
        if !self.machine.accept(plan.clone()) {
            temp.remove();
            return Err(TransferError::NotOffered.into());
        }
        let (expected, _) = plan.measure(&manifest);
        let (whole, mut whole_bytes, held_bytes) = plan.held(&manifest);
        if manifest.is_growing() {
            whole_bytes = landed;
        }
        let (claims, chosen) = (claims::claims(&plan), selection::frames(&plan.selected));
        let claimed = plan.held.keys().copied().collect();
        let keys = self.session.keys();
        let root = self.terms.encrypt.then(|| keys.file_root(&self.id, &self.terms.attempt, keys.incoming()));
        let header = StreamHeader {
            suite: if self.terms.encrypt { keys.suite() as u8 } else { 0 },
            transfer: self.terms.transfer,
            attempt: self.terms.attempt,
        };
        let (route, arrivals) = self.routes.register(header);
        let (verdicts, judged) = mpsc::channel(worker::AT_ONCE);
        let committed = Arc::new(Committed::default());
        committed.files.store(whole, Ordering::Relaxed);
        committed.bytes.store(whole_bytes, Ordering::Relaxed);
        let arrival = Arc::new(Arrival {
            manifest: manifest.clone(),
            assembly: Mutex::new(Assembly::new(manifest.clone(), plan.clone())),
            worker: self.worker(),
            temp: temp.clone(),
            root,
            compress: self.terms.compress,
            bytes: AtomicU64::new(whole_bytes + held_bytes),
            verdicts,
            gate: PauseGate::new(true),
            limits: self.inner.limits_of(self.id, Direction::Receive),
            paused: AtomicBool::new(false),
            read: AtomicBool::new(false),
            quiet: AtomicBool::new(false),
            memory: self.inner.streams.clone(),
        });
        let out = self.out.clone();
        let (told, worker) = (committed.clone(), self.worker());
        let committer = CommitWorker { worker, temp, manifest, plan, folders, entered, out, told, expected, old, same };
        let commit_worker = tokio::spawn(committer.run(judged));
        self.live = Some(Live {
            claimed,
            arrival,
            route,
            arrivals,
            streams: JoinSet::new(),
            opened: 0,
            closed: 0,
            announced: None,
            commit_worker: Some(commit_worker),
            committed,
            backlog: VecDeque::new(),
            answering: None,
            expected,
            stop: self.stop.child_token(),
        });
        self.begun = Some(Instant::now());
        self.meter.sample(Duration::ZERO, whole_bytes + held_bytes);
        self.watch.begin_at(whole_bytes + held_bytes);
        self.inner.registry.show(self.id, |view| {
            (view.bytes, view.files_done) = (whole_bytes + held_bytes, whole.into());
        });
        tracing::debug!(id = %self.id, "accepted");
        self.advance(Input::Started);
        let accepted = Decision::Accepted { all: chosen.is_empty(), conflict: rule.into() };
        // Runs in a task of its own: a sender that does not read must not keep people from cancelling. Nothing else
        // is sent before the sender has begun, which it does in answer to this.
        let (out, stop) = (self.out.clone(), self.stop.clone());
        self.inner.tasks.spawn(async move {
            let telling = async {
                let mut told = out.send(&ReceiverFrame::Decision(accepted)).await;
                for spans in chosen {
                    told = told && out.send(&ReceiverFrame::Select(spans)).await;
                }
                for claims in claims {
                    told = told && out.send(&ReceiverFrame::Have(claims)).await;
                }
                let _ = told && out.send(&ReceiverFrame::Start).await;
            };
            tokio::select! {
                () = telling => {}
                () = stop.cancelled() => {}
            }
        });
        Ok(())
    }

    /// Receives until the life cycle leaves the attempt.
    pub(in crate::transfer) async fn receive(&mut self) -> Result<(), NetworkError> {
        if self.life.is_over() {
            return Ok(());
        }
        let Some(mut live) = self.live.take() else { return Err(TransferError::NotOffered.into()) };
        // After consent the session's flow control window is widened for data.
        let receiving = self.session.receiving();
        let received = self.receive_into(&mut live).await;
        drop(receiving);
        self.live = Some(live);
        received
    }

    async fn receive_into(&mut self, live: &mut Live) -> Result<(), NetworkError> {
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let verdicts = live.arrival.verdicts.clone();
        let mut said = Said::default();
        // The pause may have changed since the last check.
        let held = self.inner.registry.held(self.id);
        if held.as_ref() != self.life.paused_here() {
            self.advance(Input::Held(held));
        }
        while !self.carry_out(Some(live)).await {
            let begun = self.life.has_begun();
            // Data streams that open before `Begin` wait in the transport.
            let streams_may_come = begun && live.opened < MAX_STREAMS;
            let frames_may_come = live.backlog.is_empty() && live.answering.is_none();
            let deadline = self.deadline();
            tokio::select! {
                frame = next(&mut self.frames, &mut self.machine), if frames_may_come => self.frame(live, frame?).await?,
                () = growing::answered(&mut live.answering) => {}
                room = verdicts.reserve(), if !live.backlog.is_empty() => match room {
                    Ok(room) => {
                        let mut next = Some(room);
                        while let Some(room) = next.take()
                            && let Some(verdict) = live.backlog.pop_front()
                        {
                            room.send(verdict);
                            next = verdicts.try_reserve().ok();
                        }
                    }
                    // The commit task is gone; its own branch reports the reason.
                    Err(_) => live.backlog.clear(),
                },
                stream = live.arrivals.recv(), if streams_may_come => {
                    if let Some(stream) = stream {
                        live.opened += 1;
                        let stop = live.stop.clone();
                        live.streams.spawn(data_stream::serve(live.arrival.clone(), self.session.clone(), stream, stop));
                    }
                }
                ended = live.streams.join_next(), if !live.streams.is_empty() => match ended {
                    Some(Ok(Ok(StreamEnd::Clean))) => {
                        live.closed += 1;
                        self.all_there(live)?;
                    }
                    Some(Ok(Ok(StreamEnd::Lost | StreamEnd::Stopped))) => self.advance(Input::StreamBroken),
                    Some(Ok(Err(error))) => return Err(error.into()),
                    Some(Err(_)) | None => return Err(TransferError::Internal("a data stream's task failed").into()),
                },
                committed = worker::wait(&mut live.commit_worker) => {
                    live.commit_worker = None;
                    committed?;
                    self.advance(Input::Committed);
                }
                it = interruption(&mut self.commands, &self.inner.cancel, deadline) => self.interrupted(it),
                // Not before `Begin`: until then a claim may be invalidated, and progress must never fall.
                _ = tick.tick(), if begun => self.progress(live, &mut said),
            }
        }
        Ok(())
    }

    /// Handles a frame of the sender.
    async fn frame(&mut self, live: &mut Live, meant: FromSender) -> Result<(), NetworkError> {
        self.heard(&meant);
        match meant {
            FromSender::Begin => {
                self.without_invalid_claims(live).await?;
                tracing::debug!(id = %self.id, "bytes may come");
                self.advance(Input::Begun);
            }
            FromSender::Grown { size, ended } => self.grow(live, size, ended).await?,
            FromSender::FilesDone(ends) => {
                let mut assembly = live.arrival.assembly();
                live.backlog.extend(ends.iter().filter_map(|end| assembly.ended(end)));
            }
            FromSender::Finished(streams) => {
                live.announced = Some(streams);
                self.all_there(live)?;
                self.advance(Input::Finished);
            }
            _ => {}
        }
        Ok(())
    }

    /// Opens or closes the gate for data.
    pub(super) fn set_gate(&mut self, live: Option<&Live>, open: bool) {
        let Some(live) = live else { return };
        live.arrival.gate.set(open);
        let paused = self.life.is_paused();
        live.arrival.paused.store(paused, Ordering::Relaxed);
        if paused {
            // The next data clears it: a sender that resumes may have to wait for its own slot first.
            live.arrival.quiet.store(true, Ordering::Relaxed);
        }
        match self.life.has_begun() && !paused {
            true => self.watch.start(self.inner.since.elapsed()),
            false => self.watch.stop(),
        }
    }

    pub(super) fn show(&self, shown: Shown) {
        self.inner.registry.show(self.id, |view| match shown {
            Shown::Paused(reason) => {
                (view.state, view.reason, view.rate, view.eta) =
                    (TransferState::Paused, Some(reason.into()), 0.0, None);
            }
            Shown::Active => (view.state, view.reason) = (TransferState::Active, None),
            Shown::Queued => (view.state, view.reason) = (TransferState::Queued, None),
        });
    }

    /// Drops the claims that the sender has invalidated, and the staged data of these files.
    async fn without_invalid_claims(&mut self, live: &mut Live) -> Result<(), NetworkError> {
        let (manifest, plan) = (self.machine.manifest(), self.machine.plan().clone());
        let invalid: Vec<u32> = live.claimed.iter().copied().filter(|file| !plan.held.contains_key(file)).collect();
        if invalid.is_empty() {
            return Ok(());
        }
        let (_, whole, parts) = plan.held(&manifest);
        live.arrival.bytes.store(whole + parts, Ordering::Relaxed);
        *live.arrival.assembly() = Assembly::new(manifest.clone(), plan);
        let temp = live.arrival.temp.clone();
        let worker = self.worker();
        let removed = worker.guarded(move || invalid.into_iter().try_for_each(|file| temp.start_anew(&manifest, file)));
        let removed = removed.await.map_err(|_| TransferError::Internal("removing files failed"))?;
        Ok(removed.map_err(TransferError::Disk)?)
    }

    /// Checks that no file lacks data once every stream has ended and the sender has reported every file.
    fn all_there(&self, live: &Live) -> Result<(), NetworkError> {
        let over = live.announced.is_some_and(|announced| live.closed >= announced);
        if over {
            tracing::debug!(id = %self.id, "every stream has ended");
        }
        if over && live.backlog.is_empty() && live.arrival.assembly().left() > 0 {
            let text = Violation("the streams ended before every byte was there".into());
            return Err(TransferError::Violation(text).into());
        }
        Ok(())
    }
}
