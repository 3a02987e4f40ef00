//! Files dragged onto the window. Handled here and not in the page, where a script could forge the events.

use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

use tauri::{AppHandle, DragDropEvent, Manager, PhysicalPosition};
use yonder_core::api::ShellEvent;

use crate::picks::Picks;
use yonder_core::clock::Locked as _;

/// Minimum interval between events of a moving drag; the toolkit reports every pixel.
const PACE: Duration = Duration::from_millis(30);

/// Time of the last event of a moving drag.
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

/// Reports a drag to the page, and keeps the dropped paths.
pub fn on_drag(app: &AppHandle, event: &DragDropEvent) {
    let scale = crate::main_window(app).and_then(|window| window.scale_factor().ok()).unwrap_or(1.0);
    match event {
        DragDropEvent::Enter { position, .. } => over(app, *position, scale),
        DragDropEvent::Over { position } if app.state::<Drag>().due(Instant::now()) => over(app, *position, scale),
        DragDropEvent::Drop { paths, position } => {
            let (x, y) = css(*position, scale);
            match app.state::<Picks>().keep(paths.clone(), Instant::now()) {
                Some(picked) => crate::emit_to_page(app, ShellEvent::Dropped { x, y, picked }),
                // Text or a picture dragged from a browser contains no files.
                None => crate::emit_to_page(app, ShellEvent::DragLeave),
            }
        }
        DragDropEvent::Leave => crate::emit_to_page(app, ShellEvent::DragLeave),
        _ => {}
    }
}

fn over(app: &AppHandle, position: PhysicalPosition<f64>, scale: f64) {
    let (x, y) = css(position, scale);
    crate::emit_to_page(app, ShellEvent::DragOver { x, y });
}

/// Converts a drag's position into CSS pixels. Only Windows reports device pixels; GTK and AppKit report logical ones
/// in spite of the type. (Measured with GDK_SCALE=2: a drop at 600, 400 on the screen is reported as 300, 200.)
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
