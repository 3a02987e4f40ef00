//! Evaluates nftables rules for an unsolicited UDP packet to our port. Pure.
//!
//! Only simple rules are understood. A rule that depends on more than port, protocol and state makes the result unclear
//! if it would accept the packet, and is skipped if it would drop it.

use serde_json::Value;

use crate::diagnostics::facts::FirewallVerdict;

/// Maximum depth of jumps between chains, which may be circular.
const MAX_DEPTH: usize = 16;

/// Result of the evaluation.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Evaluation {
    /// True if there are rules for incoming packets.
    pub has_rules: bool,
    /// Result of the rules.
    pub verdict: FirewallVerdict,
    /// Family, table and chain of the rules that drop the packet.
    pub chain: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RuleOutcome {
    Accept,
    Drop,
    /// The next rule decides.
    Next,
    /// The packet may have been accepted, which cannot be determined.
    Maybe,
}

/// Evaluates a complete rule set in the format of `nft -j list ruleset`. `None` if it is malformed.
pub(super) fn evaluate(text: &str, port: u16) -> Option<Evaluation> {
    let whole: Value = serde_json::from_str(text).ok()?;
    let items = whole["nftables"].as_array()?;
    let mut judged = Evaluation { has_rules: false, verdict: FirewallVerdict::Open, chain: None };
    for chain in items.iter().filter_map(|item| item.get("chain")) {
        let early = chain["hook"] == "prerouting" && chain["type"] == "filter";
        if chain["hook"] != "input" && !early {
            continue;
        }
        if !["ip", "inet"].contains(&chain["family"].as_str().unwrap_or_default()) {
            continue;
        }
        judged.has_rules |= !early;
        let outcome = match follow(items, chain, port, 0) {
            RuleOutcome::Next if chain["policy"] == "drop" => RuleOutcome::Drop,
            outcome => outcome,
        };
        match outcome {
            RuleOutcome::Drop => {
                let part = |name: &str| chain[name].as_str().unwrap_or_default().to_owned();
                judged.chain = Some(format!("{} {} {}", part("family"), part("table"), part("name")));
                judged.verdict = FirewallVerdict::Closed;
                return Some(judged);
            }
            RuleOutcome::Maybe => judged.verdict = FirewallVerdict::Unclear,
            RuleOutcome::Accept | RuleOutcome::Next => {}
        }
    }
    Some(judged)
}

fn follow(items: &[Value], chain: &Value, port: u16, depth: usize) -> RuleOutcome {
    if depth > MAX_DEPTH {
        return RuleOutcome::Maybe;
    }
    let same = |rule: &&Value| {
        rule["chain"] == chain["name"] && rule["table"] == chain["table"] && rule["family"] == chain["family"]
    };
    let mut maybe = false;
    for rule in items.iter().filter_map(|item| item.get("rule")).filter(same) {
        let Some(parts) = rule["expr"].as_array() else { continue };
        let Some(applies) = matches(parts, port) else { continue };
        let outcome = verdict_of(items, chain, parts, port, depth);
        match (applies, outcome) {
            (_, RuleOutcome::Next) => {}
            (true, RuleOutcome::Maybe) | (false, RuleOutcome::Accept | RuleOutcome::Maybe) => maybe = true,
            (true, outcome) => return if maybe && outcome == RuleOutcome::Drop { RuleOutcome::Maybe } else { outcome },
            (false, RuleOutcome::Drop) => {}
        }
    }
    if maybe { RuleOutcome::Maybe } else { RuleOutcome::Next }
}

fn verdict_of(items: &[Value], chain: &Value, parts: &[Value], port: u16, depth: usize) -> RuleOutcome {
    for part in parts {
        if part.get("accept").is_some() {
            return RuleOutcome::Accept;
        }
        if part.get("drop").is_some() || part.get("reject").is_some() {
            return RuleOutcome::Drop;
        }
        let target = part.get("jump").or_else(|| part.get("goto")).and_then(|jump| jump["target"].as_str());
        if let Some(target) = target {
            let found = items.iter().filter_map(|item| item.get("chain")).find(|other| {
                other["name"] == target && other["table"] == chain["table"] && other["family"] == chain["family"]
            });
            return found.map_or(RuleOutcome::Maybe, |found| follow(items, found, port, depth + 1));
        }
    }
    RuleOutcome::Next
}

/// Evaluates the conditions of a rule: `None` if one is certainly false, `Some(true)` if all hold, `Some(false)` if
/// some cannot be determined.
fn matches(parts: &[Value], port: u16) -> Option<bool> {
    let mut certain = true;
    for part in parts {
        if let Some(condition) = part.get("match") {
            match holds(condition, port) {
                Some(true) => {}
                Some(false) => return None,
                None => certain = false,
            }
        } else if part.get("xt").is_some() || part.get("vmap").is_some() || part.get("limit").is_some() {
            certain = false;
        }
    }
    Some(certain)
}

fn holds(condition: &Value, port: u16) -> Option<bool> {
    let (left, right) = (&condition["left"], &condition["right"]);
    let held = if left["payload"]["field"] == "dport" {
        let protocol = left["payload"]["protocol"].as_str()?;
        if protocol == "tcp" {
            return Some(false);
        }
        number_in(right, port)?
    } else if left["meta"]["key"] == "l4proto" || left["payload"]["field"] == "protocol" {
        word_in(right, "udp")
    } else if left["ct"]["key"] == "state" {
        word_in(right, "new")
    } else if ["iifname", "iif"].contains(&left["meta"]["key"].as_str().unwrap_or_default()) {
        // The packet comes from another machine, by an unknown interface.
        match word_in(right, "lo") && !right["set"].is_array() {
            true => false,
            false => return None,
        }
    } else if left["payload"]["protocol"].is_string() {
        let protocol = left["payload"]["protocol"].as_str().unwrap_or_default();
        // Headers that a UDP packet does not have.
        return if ["tcp", "icmp", "icmpv6"].contains(&protocol) { Some(false) } else { None };
    } else {
        return None;
    };
    match condition["op"].as_str() {
        Some("==" | "in") => Some(held),
        Some("!=") => Some(!held),
        _ => None,
    }
}

fn word_in(right: &Value, word: &str) -> bool {
    match right {
        Value::String(text) => text == word,
        Value::Array(all) => all.iter().any(|one| word_in(one, word)),
        Value::Object(object) => object.get("set").is_some_and(|set| word_in(set, word)),
        _ => false,
    }
}

fn number_in(right: &Value, port: u16) -> Option<bool> {
    match right {
        Value::Number(number) => Some(number.as_u64() == Some(port.into())),
        Value::Array(all) => {
            let each: Vec<Option<bool>> = all.iter().map(|one| number_in(one, port)).collect();
            if each.contains(&Some(true)) {
                Some(true)
            } else {
                each.into_iter().collect::<Option<Vec<_>>>().map(|_| false)
            }
        }
        Value::Object(object) => match (object.get("set"), object.get("range").and_then(Value::as_array)) {
            (Some(set), _) => number_in(set, port),
            (None, Some(range)) => {
                let end = |at: usize| range.get(at).and_then(Value::as_u64);
                Some((end(0)?..=end(1)?).contains(&port.into()))
            }
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(policy: &str, rules: &[Value]) -> String {
        let mut items = vec![
            json!({"metainfo": {"version": "1"}}),
            json!({"chain": {"family": "inet", "table": "t", "name": "in", "hook": "input", "type": "filter", "policy": policy}}),
            json!({"chain": {"family": "inet", "table": "t", "name": "mine"}}),
        ];
        let rule = |(chain, expr): (&str, &Value)| json!({"rule": {"family": "inet", "table": "t", "chain": chain, "expr": expr}});
        items.extend(rules.iter().map(|expr| rule(("in", expr))));
        items.push(rule(("mine", &json!([dport(json!(11204)), {"accept": null}]))));
        json!({ "nftables": items }).to_string()
    }

    fn dport(right: Value) -> Value {
        json!({"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": right}})
    }

    fn state(right: Value) -> Value {
        json!({"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": right}})
    }

    fn verdict(policy: &str, rules: &[Value]) -> FirewallVerdict {
        evaluate(&set(policy, rules), 11204).unwrap().verdict
    }

    #[test]
    fn a_policy_of_dropping_closes_and_an_exception_opens() {
        let old = json!([state(json!(["established", "related"])), {"accept": null}]);
        let lo =
            json!([{"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "lo"}}, {"accept": null}]);
        assert_eq!(verdict("drop", &[old.clone(), lo.clone()]), FirewallVerdict::Closed);
        assert_eq!(verdict("accept", &[old.clone(), lo.clone()]), FirewallVerdict::Open);
        for ports in [
            json!(11204),
            json!({"set": [1, 11204]}),
            json!({"range": [11000, 12000]}),
            json!({"set": [{"range": [1, 65535]}]}),
        ] {
            assert_eq!(verdict("drop", &[old.clone(), json!([dport(ports), {"accept": null}])]), FirewallVerdict::Open);
        }
        assert_eq!(verdict("drop", &[json!([dport(json!(5353)), {"accept": null}])]), FirewallVerdict::Closed);
        assert_eq!(verdict("drop", &[json!([{"jump": {"target": "mine"}}])]), FirewallVerdict::Open);
        assert_eq!(verdict("accept", &[json!([state(json!("new")), {"drop": null}])]), FirewallVerdict::Closed);
        assert_eq!(verdict("accept", &[json!([dport(json!(11204)), {"reject": {}}])]), FirewallVerdict::Closed);
        let closed = evaluate(&set("drop", &[]), 11204).unwrap();
        assert_eq!((closed.chain.as_deref(), closed.has_rules), (Some("inet t in"), true));
    }

    #[test]
    fn what_depends_on_more_than_we_see_is_unclear() {
        let source = json!([{"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "10.0.0.0"}}, {"accept": null}]);
        assert_eq!(verdict("drop", &[source]), FirewallVerdict::Unclear);
        let named = json!([dport(json!("@allowed")), {"accept": null}]);
        assert_eq!(verdict("drop", &[named]), FirewallVerdict::Unclear);
        let wlan =
            json!([{"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": "wlan0"}}, {"drop": null}]);
        assert_eq!(verdict("accept", &[wlan]), FirewallVerdict::Open);
    }

    #[test]
    fn nonsense_and_circles_end() {
        assert_eq!(evaluate("", 1), None);
        assert_eq!(evaluate("{}", 1), None);
        assert_eq!(evaluate(r#"{"nftables": []}"#, 1).unwrap().verdict, FirewallVerdict::Open);
        assert_eq!(verdict("drop", &[json!([{"jump": {"target": "in"}}])]), FirewallVerdict::Unclear);
    }
}
