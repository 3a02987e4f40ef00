//! The connection, or one of the nodes, fails at every moment. Afterwards both hold the record, or neither does, or the
//! joiner holds a pending one that the next contact resolves.

use super::*;

/// Asserts that the two stores are consistent.
fn settled(joiner: &Stored, host: &Stored, at: &str) {
    match (joiner, host) {
        (Stored::Nothing, Stored::Nothing) | (Stored::Paired(_), Stored::Paired(_)) => {}
        // The host has no record: it refuses the session handshake, and the pending record is dropped.
        (Stored::Pending(_), Stored::Nothing) => {}
        // The host has the record: the pending one authenticates and is promoted.
        (Stored::Pending(j), Stored::Paired(h)) => assert_eq!(j.secret.as_bytes(), h.secret.as_bytes()),
        (joiner, host) => panic!("{at}: joiner {joiner:?}, host {host:?}"),
    }
}

#[test]
fn a_connection_that_ends_at_any_frame_leaves_nothing_undecided() {
    let frames = honest(1, &JoinSecret::Words(words())).sent.len();
    assert_eq!(frames, 12);
    for cut in 0..=frames {
        let secret = JoinSecret::Words(words());
        let (mut joiner, mut host) = (joiner(1, endpoint_id(HOST), 1, &secret), host(1, endpoint_id(JOINER), 1));
        let mut code = shown_code();
        let mut outcome = run(&mut joiner, &mut host, &mut code, (Some(true), Some(true)), |number, _, frame| {
            if number < cut { vec![frame.to_vec()] } else { Vec::new() }
        });
        joiner.on_closed(START);
        host.on_closed(START);
        drive(&mut joiner, &mut outcome.joiner, START, None);
        drive(&mut host, &mut outcome.host, START, None);
        assert!(joiner.is_finished() && host.is_finished(), "{cut}");
        settled(&outcome.joiner.stored, &outcome.host.stored, &format!("cut at {cut}"));
        // The reported result matches what is stored.
        match outcome.joiner.stored {
            Stored::Paired(_) => assert_eq!(outcome.joiner.paired(), Some(true), "{cut}"),
            Stored::Pending(_) => assert_eq!(outcome.joiner.failed(), Some(&PairingError::Unfinished), "{cut}"),
            Stored::Nothing => assert_eq!(outcome.joiner.failed(), Some(&PairingError::ConnectionLost), "{cut}"),
        }
        assert_eq!(outcome.host.paired().is_some(), matches!(outcome.host.stored, Stored::Paired(_)), "{cut}");
        assert_eq!(outcome.host.failed().is_some(), matches!(outcome.host.stored, Stored::Nothing), "{cut}");
    }
}

#[test]
fn time_that_runs_out_at_any_frame_leaves_nothing_undecided() {
    for cut in 0..=12 {
        let secret = JoinSecret::Words(words());
        let (mut joiner, mut host) = (joiner(1, endpoint_id(HOST), 1, &secret), host(1, endpoint_id(JOINER), 1));
        let mut code = shown_code();
        let mut outcome = run(&mut joiner, &mut host, &mut code, (Some(true), Some(true)), |number, _, frame| {
            if number < cut { vec![frame.to_vec()] } else { Vec::new() }
        });
        // The network loses frames and recovers: each side's last frame arrives.
        for _ in 0..3 {
            let late = START + Duration::from_secs(3600);
            joiner.on_tick(late);
            host.on_tick(late);
            drive(&mut joiner, &mut outcome.joiner, late, None);
            drive(&mut host, &mut outcome.host, late, None);
            for frame in outcome.joiner.frames.drain(..) {
                host.on_message(late, &frame, &mut code);
            }
            for frame in outcome.host.frames.drain(..) {
                joiner.on_message(late, &frame);
            }
        }
        assert!(joiner.is_finished() && host.is_finished(), "{cut}");
        settled(&outcome.joiner.stored, &outcome.host.stored, &format!("timed out at {cut}"));
    }
}

#[test]
fn a_node_that_is_killed_before_or_after_each_write_leaves_nothing_undecided() {
    // Number of the last of the three writes (joiner pending, host, joiner promoted) that reached the disk.
    for last in 0..=3 {
        let (mut joiner, mut host) =
            (joiner(1, endpoint_id(HOST), 1, &JoinSecret::Words(words())), host(1, endpoint_id(JOINER), 1));
        let mut code = shown_code();
        let (mut j, mut h) = (Stored::Nothing, Stored::Nothing);
        let mut writes = 0;
        let mut frames: VecDeque<(Side, Vec<u8>)> = VecDeque::new();
        'run: loop {
            let mut moved = false;
            while let Some(output) = joiner.poll() {
                moved = true;
                match output {
                    Output::Frame(frame) => frames.push_back((Side::Joiner, frame)),
                    Output::Event(PairingEvent::NeedApproval) => joiner.on_approve(START, true),
                    Output::Event(PairingEvent::StorePending(pairing)) => {
                        if writes == last {
                            break 'run;
                        }
                        writes += 1;
                        j = Stored::Pending(pairing);
                        joiner.on_stored(START);
                    }
                    Output::Event(PairingEvent::Commit(pairing)) => {
                        if writes == last {
                            break 'run;
                        }
                        writes += 1;
                        j = Stored::Paired(pairing);
                        joiner.on_committed(START);
                    }
                    Output::Event(_) => {}
                }
            }
            while let Some(output) = host.poll() {
                moved = true;
                match output {
                    Output::Frame(frame) => frames.push_back((Side::Host, frame)),
                    Output::Event(PairingEvent::NeedApproval) => host.on_approve(START, true),
                    Output::Event(PairingEvent::Commit(pairing)) => {
                        if writes == last {
                            break 'run;
                        }
                        writes += 1;
                        h = Stored::Paired(pairing);
                        host.on_committed(START);
                    }
                    Output::Event(_) => {}
                }
            }
            match frames.pop_front() {
                Some((Side::Joiner, frame)) => host.on_message(START, &frame, &mut code),
                Some((Side::Host, frame)) => joiner.on_message(START, &frame),
                None if !moved => break,
                None => {}
            }
        }
        assert_eq!(writes, last);
        settled(&j, &h, &format!("after write {last}"));
        assert_eq!(matches!(h, Stored::Paired(_)), last >= 2);
    }
}

#[test]
fn a_disk_that_refuses_leaves_nothing_undecided() {
    // The joiner cannot store: the host is told and keeps nothing.
    let secret = JoinSecret::Words(words());
    let (mut joiner, mut host) = (joiner(1, endpoint_id(HOST), 1, &secret), host(1, endpoint_id(JOINER), 1));
    let mut code = shown_code();
    let outcome = run(&mut joiner, &mut host, &mut code, (Some(true), None), untouched);
    let (mut j, mut h) = (outcome.joiner, outcome.host);
    host.on_approve(START, true);
    drive(&mut host, &mut h, START, None);
    joiner.on_message(START, &h.frames.pop_front().unwrap());
    joiner.on_store_failed(START);
    drive_without_storing(&mut joiner, &mut j);
    assert_eq!(j.failed(), Some(&PairingError::NotStored));
    host.on_message(START, &j.frames.pop_front().unwrap(), &mut code);
    drive(&mut host, &mut h, START, None);
    assert_eq!(h.failed(), Some(&PairingError::RejectedThere));
    assert!(matches!(h.stored, Stored::Nothing));

    // The host cannot store: the joiner is told and drops the pending record.
    let (mut joiner, mut host) =
        (super::joiner(1, endpoint_id(HOST), 1, &secret), super::host(1, endpoint_id(JOINER), 1));
    let mut code = shown_code();
    let outcome = run(&mut joiner, &mut host, &mut code, (None, Some(true)), untouched);
    let (mut j, mut h) = (outcome.joiner, outcome.host);
    joiner.on_approve(START, true);
    drive(&mut joiner, &mut j, START, None);
    for frame in j.frames.drain(..) {
        host.on_message(START, &frame, &mut code);
    }
    assert!(matches!(j.stored, Stored::Pending(_)));
    host.on_store_failed(START);
    drive_without_storing(&mut host, &mut h);
    assert_eq!(h.failed(), Some(&PairingError::NotStored));
    joiner.on_message(START, &h.frames.pop_front().unwrap());
    drive(&mut joiner, &mut j, START, None);
    assert_eq!(j.failed(), Some(&PairingError::RejectedThere));
    assert!(matches!(j.stored, Stored::Nothing), "the pending record is dropped");
}

#[test]
fn a_pending_record_that_nobody_heard_of_is_dropped() {
    let ends: [fn(&mut JoinerState); 3] = [
        |joiner| joiner.abort(START),
        |joiner| joiner.on_closed(START),
        |joiner| joiner.on_message(START, &[1, 5, 1, 0]),
    ];
    for end in ends {
        let secret = JoinSecret::Words(words());
        let (mut joiner, mut host) = (joiner(1, endpoint_id(HOST), 1, &secret), host(1, endpoint_id(JOINER), 1));
        let outcome = run(&mut joiner, &mut host, &mut shown_code(), (None, Some(true)), untouched);
        let mut j = outcome.joiner;
        joiner.on_approve(START, true);
        drive_without_storing(&mut joiner, &mut j);
        assert!(matches!(j.events.last(), Some(PairingEvent::StorePending(_))));
        // The disk is slow, and the pairing ends before Prepared is sent.
        end(&mut joiner);
        joiner.on_stored(START);
        drive_without_storing(&mut joiner, &mut j);
        let last = &j.events[j.events.len() - 2..];
        assert!(matches!(last, [PairingEvent::DropPending, PairingEvent::Failed(_)]), "{last:?}");
        assert!(joiner.is_finished() && joiner.poll().is_none());
    }
}

fn drive_without_storing(machine: &mut dyn Machine, driven: &mut Driven) {
    while let Some(output) = machine.next() {
        match output {
            Output::Frame(frame) => driven.frames.push_back(frame),
            Output::Event(event) => driven.events.push(event),
        }
    }
}

#[test]
fn cancelling_at_any_moment_leaves_nothing_undecided() {
    for cut in 0..=12 {
        for who in [Side::Joiner, Side::Host] {
            let secret = JoinSecret::Words(words());
            let (mut joiner, mut host) = (joiner(1, endpoint_id(HOST), 1, &secret), host(1, endpoint_id(JOINER), 1));
            let mut code = shown_code();
            let mut held = Vec::new();
            let mut outcome =
                run(&mut joiner, &mut host, &mut code, (Some(true), Some(true)), |number, side, frame| {
                    if number < cut {
                        return vec![frame.to_vec()];
                    }
                    held.push((side, frame.to_vec()));
                    Vec::new()
                });
            match who {
                Side::Joiner => joiner.abort(START),
                Side::Host => host.abort(START),
            }
            // Frames in transit arrive after all, and then the last frames.
            for (side, frame) in held {
                match side {
                    Side::Joiner => host.on_message(START, &frame, &mut code),
                    Side::Host => joiner.on_message(START, &frame),
                }
            }
            for _ in 0..6 {
                drive(&mut joiner, &mut outcome.joiner, START, Some(true));
                drive(&mut host, &mut outcome.host, START, Some(true));
                for frame in outcome.joiner.frames.drain(..) {
                    host.on_message(START, &frame, &mut code);
                }
                for frame in outcome.host.frames.drain(..) {
                    joiner.on_message(START, &frame);
                }
            }
            joiner.on_closed(START);
            host.on_closed(START);
            drive(&mut joiner, &mut outcome.joiner, START, None);
            drive(&mut host, &mut outcome.host, START, None);
            assert!(joiner.is_finished() && host.is_finished(), "{cut} {who:?}");
            settled(&outcome.joiner.stored, &outcome.host.stored, &format!("{who:?} cancelled at {cut}"));
        }
    }
}
