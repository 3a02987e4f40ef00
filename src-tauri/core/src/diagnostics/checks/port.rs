//! Check of the UDP port: whether it is bound, and whether it is the usual one.

use super::{failed, info, ok, warning};
use crate::{
    api::CheckView,
    diagnostics::facts::{Holder, Port},
};

const NAME: &str = "port";

/// Creates the check `port`.
pub fn check(port: &Port) -> CheckView {
    let wanted = port.wanted;
    if port.unused {
        return info(NAME, "port_unused", "In mode relay-only no port is opened.", "");
    }
    match port.bound {
        Some(bound) if wanted == 0 || bound == wanted => {
            ok(NAME, format!("UDP port {bound} is open on this machine.")).with("port", bound)
        }
        Some(bound) => warning(
            NAME,
            "port_taken",
            format!("UDP port {wanted} is taken by {}; port {bound} is used instead.", holder(port)),
            format!(
                "It works, but a firewall's exception or a router's forwarding for {wanted} does not count for it. End \
                 the other program and start Yonder anew, or choose a port of its own with --port."
            ),
        )
        .with("wanted", wanted)
        .with("bound", bound)
        .with("holder", named(port)),
        None => match &port.refusal {
            None => ok(NAME, format!("UDP port {wanted} is free.")).with("port", wanted),
            Some(refusal)
                if port.holder.is_some()
                    || (refusal.os == Some("address_in_use") || refusal.text.contains("in use")) =>
            {
                failed(
                    NAME,
                    "port_taken",
                    format!("UDP port {wanted} is taken by {}.", holder(port)),
                    if port.asked_for {
                        "End that program, give another --port, or leave out --port: then a free one is taken."
                    } else {
                        "End that program, or give another --port."
                    },
                )
                .with("wanted", wanted)
                .with("holder", named(port))
            }
            Some(refusal) => failed(
                NAME,
                "port_unavailable",
                format!("UDP port {wanted} cannot be opened: {refusal}."),
                "Ports below 1024 are for the system. Check --port and --bind.",
            )
            .with("wanted", wanted)
            .refused(refusal),
        },
    }
}

/// Returns the name of the program that holds the port; `?` if unknown.
fn named(port: &Port) -> String {
    port.holder.as_ref().and_then(|holder| holder.program.clone()).unwrap_or_else(|| "?".into())
}

fn holder(port: &Port) -> String {
    let Some(Holder { program, pid, user }) = &port.holder else { return "another program".into() };
    match (program, pid, user) {
        (Some(program), Some(pid), _) => format!("{program} (process {pid})"),
        (Some(program), None, _) => program.clone(),
        (None, _, Some(user)) => format!("a program of another user (user id {user})"),
        _ => "another program".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::CheckStatus;

    fn port() -> Port {
        Port { wanted: 11204, ..Port::default() }
    }

    #[test]
    fn the_usual_port_is_fine_and_another_one_is_explained() {
        let check = |bound| check(&Port { bound, ..port() });
        assert_eq!(check(Some(11204)).status, CheckStatus::Ok);
        let other = check(Some(40000));
        assert_eq!((other.status, other.code.as_deref()), (CheckStatus::Warning, Some("port_taken")));
        assert!(other.detail.contains("40000") && !other.hint.is_empty());
    }

    #[test]
    fn who_holds_it_is_named_as_far_as_it_is_known() {
        let with = |holder| check(&Port { refusal: Some("Address already in use".into()), holder, ..port() });
        let named = with(Some(Holder { program: Some("other".into()), pid: Some(7), user: None }));
        assert_eq!((named.status, named.code.as_deref()), (CheckStatus::Failed, Some("port_taken")));
        assert!(named.detail.contains("other (process 7)"));
        assert!(with(Some(Holder { program: None, pid: None, user: Some(5) })).detail.contains("another user"));
        assert!(with(None).detail.contains("another program"));
    }

    #[test]
    fn what_is_not_taken_but_forbidden_is_told_apart() {
        let check = check(&Port { wanted: 80, refusal: Some("Permission denied".into()), ..Port::default() });
        assert_eq!((check.status, check.code.as_deref()), (CheckStatus::Failed, Some("port_unavailable")));
        assert!(!check.hint.is_empty());
    }
}
