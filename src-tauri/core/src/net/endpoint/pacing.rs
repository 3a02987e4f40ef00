//! Connects [`Steady`] to noq, and supplies the time.
//!
//! The time that noq passes with an acknowledgement is when it began to drain the socket. On a busy machine that is
//! milliseconds before the packet arrived, so the present time is passed on, too.

use std::{any::Any, sync::Arc, time::Instant};

use noq_proto::{
    RttEstimator,
    congestion::{Controller, ControllerFactory, ControllerMetrics},
};

use super::congestion::Steady;

/// Creates a controller for each path of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct PacingConfig;

impl ControllerFactory for PacingConfig {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(Pacing(Steady::new(now, current_mtu)))
    }
}

/// Controller of one path.
#[derive(Clone, Debug)]
struct Pacing(Steady);

impl Controller for Pacing {
    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, pn: u64, app_limited: bool, rtt: &RttEstimator) {
        self.0.on_ack(now, sent, bytes, pn, app_limited, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, _: bool, _: Option<u64>) {
        self.0.acks_ended(now, Instant::now(), in_flight);
    }

    fn on_congestion_event(
        &mut self,
        now: Instant,
        sent: Instant,
        persistent: bool,
        ecn: bool,
        lost_bytes: u64,
        largest_lost: u64,
    ) {
        self.0.on_congestion_event(now, sent, persistent, ecn, lost_bytes, largest_lost);
    }

    fn on_spurious_congestion_event(&mut self) {
        self.0.on_spurious_congestion_event();
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.0.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        self.0.window()
    }

    fn metrics(&self) -> ControllerMetrics {
        self.0.metrics()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(self.clone())
    }

    fn initial_window(&self) -> u64 {
        self.0.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
