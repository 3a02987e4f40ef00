//! Files dragged onto the window. Taken here and not in the page: a script could forge the page's events.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use tauri::{AppHandle, DragDropEvent, Manager, PhysicalPosition};
use yonder_core::api::ShellEvent;

use crate::picks::Picks;
use yonder_core::clock::Locked as _;

/// The page hears of a moving drag this often at most; the toolkit tells of every pixel.
const PACE: Duration = Duration::from_millis(30);

/// When the page last heard of a drag that moves.
#[derive(Default)]
pub struct Drag {
    last: Mutex<Option<Instant>>,
}

impl Drag {
    fn due(&self, now: Instant) -> bool {
        let mut last = self.last.locked();
        if last.is_some_and(|last| now.duration_since(last) < PACE) {
            return false;
        }
        *last = Some(now);
        true
    }
}

/// Tells the page of a drag, and keeps what was dropped.
pub fn on_drag(app: &AppHandle, event: &DragDropEvent) {
    let scale = crate::main_window(app).and_then(|window| window.scale_factor().ok()).unwrap_or(1.0);
    match event {
        DragDropEvent::Enter { position, .. } => over(app, *position, scale),
        DragDropEvent::Over { position } if app.state::<Drag>().due(Instant::now()) => over(app, *position, scale),
        DragDropEvent::Drop { paths, position } => {
            let (x, y) = css(*position, scale);
            match app.state::<Picks>().keep(paths.clone(), Instant::now()) {
                Some(picked) => crate::tell(app, ShellEvent::Dropped { x, y, picked }),
                // Dragged text or a picture out of a browser holds no files.
                None => crate::tell(app, ShellEvent::DragLeave),
            }
        }
        DragDropEvent::Leave => crate::tell(app, ShellEvent::DragLeave),
        _ => {}
    }
}

fn over(app: &AppHandle, position: PhysicalPosition<f64>, scale: f64) {
    let (x, y) = css(position, scale);
    crate::tell(app, ShellEvent::DragOver { x, y });
}

/// CSS pixels of a drag's place. Only Windows tells device pixels; GTK and AppKit tell logical ones, whatever the type
/// says. (Measured with GDK_SCALE=2: a drop at 600, 400 of the screen comes as 300, 200.)
fn css(position: PhysicalPosition<f64>, scale: f64) -> (f64, f64) {
    let divisor = if cfg!(windows) && scale > 0.0 { scale } else { 1.0 };
    (position.x / divisor, position.y / divisor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moving_drag_is_told_at_a_measured_pace() {
        let (drag, now) = (Drag::default(), Instant::now());
        assert!(drag.due(now));
        assert!(!drag.due(now + PACE / 2));
        assert!(drag.due(now + PACE));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn gtk_tells_logical_pixels() {
        assert_eq!(css(PhysicalPosition::new(300.0, 40.0), 2.0), (300.0, 40.0));
    }
}
