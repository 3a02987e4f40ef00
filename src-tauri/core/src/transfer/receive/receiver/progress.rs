//! Progress of an incoming transfer: reported to the sender and shown to people.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use super::{Receiving, data::Live};
use crate::{api::TransferState, transfer::protocol::frames::ReceiverFrame};

/// Interval after which unchanged progress is reported again while bytes arrive.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// Last progress that was reported to the sender.
pub(super) struct Said {
    /// Bytes and files.
    counts: (u64, u32),
    at: Instant,
}

impl Default for Said {
    fn default() -> Self {
        Self { counts: (0, 0), at: Instant::now() }
    }
}

impl Receiving {
    /// Reports and shows the progress.
    pub(super) fn progress(&mut self, live: &Live, said: &mut Said) {
        let bytes = live.arrival.bytes.load(Ordering::Relaxed);
        let files = live.committed.files.load(Ordering::Relaxed);
        // Repeating the same values tells the sender that bytes arrive, when a segment takes long to complete.
        let comes = said.at.elapsed() >= SAY_AGAIN && live.arrival.read.swap(false, Ordering::Relaxed);
        if (bytes, files) != said.counts || comes {
            *said = Said { counts: (bytes, files), at: Instant::now() };
            self.out.offer(&ReceiverFrame::Progress { bytes, files });
        }
        self.meter.sample(self.begun.map_or(Duration::ZERO, |begun| begun.elapsed()), bytes);
        self.watch.sample(self.inner.since.elapsed(), bytes);
        if self.watch.is_due(self.inner.since.elapsed()) {
            self.inner.registry.record_soon(self.id, &self.inner.tasks);
        }
        let (seconds, mean_rate) = (self.watch.seconds(), self.watch.mean_rate());
        let meter = &self.meter;
        let noticed = self.silence.listen(self.session.since().elapsed(), self.session.datagrams_heard());
        if noticed.ask {
            self.session.ask_for_sign_of_life();
        }
        self.inner.registry.show(self.id, |view| {
            (view.seconds, view.mean_rate) = (seconds, mean_rate);
            (view.bytes, view.files_done) = (bytes, files.into());
            let moves = view.state == TransferState::Active;
            view.rate = if moves { meter.rate() } else { 0.0 };
            view.eta = meter.eta(view.total.saturating_sub(bytes)).filter(|_| moves && !view.growing);
            view.heard_nothing_for(noticed.seconds.filter(|_| moves));
        });
    }
}
