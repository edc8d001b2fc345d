//! Which names a sprite may reach. Pure.
//!
//! Without rules: all. With any, only what a rule allows; of several rules about a name the most specific one counts, and
//! of equal ones the one that denies. `*.example.com` is about names under it, not about `example.com` itself.

use snapvm_protocol::sprites::{NetworkAction, NetworkPolicy, NetworkRule};

/// Most rules of one policy.
const RULES_MAX: usize = 500;

/// Why a policy is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidPolicy {
    /// Too many rules.
    #[error("a policy has {RULES_MAX} rules at most")]
    TooMany,
    /// Not a pattern.
    #[error("{0:?} is not a domain name, *. and one, or *")]
    Domain(String),
    /// Not a list that there is.
    #[error("there is no list {0:?}; there is \"defaults\"")]
    Include(String),
}

/// Checks a policy that somebody wants.
pub(crate) fn check(policy: &NetworkPolicy) -> Result<(), InvalidPolicy> {
    if policy.rules.len() > RULES_MAX {
        return Err(InvalidPolicy::TooMany);
    }
    for rule in &policy.rules {
        match rule {
            NetworkRule::Include { include } if include != "defaults" => {
                return Err(InvalidPolicy::Include(include.clone()));
            }
            NetworkRule::Domain { domain, .. } if !is_pattern(domain) => {
                return Err(InvalidPolicy::Domain(domain.clone()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a text is a name, `*.` and one, or `*`.
pub(crate) fn is_pattern(text: &str) -> bool {
    let name = text.strip_prefix("*.").unwrap_or(text);
    let tidy = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    text == "*" || (name.len() <= 253 && name.split('.').all(tidy))
}

/// Whether a policy lets a sprite reach a name; `defaults` are the patterns that the list of this name stands for.
pub(crate) fn allows(policy: &NetworkPolicy, defaults: &[String], name: &str) -> bool {
    if policy.rules.is_empty() {
        return true;
    }
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let mut verdict = (0, false);
    let mut consider = |pattern: &str, allowed: bool| {
        let weight = weight(&pattern.to_ascii_lowercase(), &name);
        if weight > verdict.0 || (weight == verdict.0 && weight > 0 && !allowed) {
            verdict = (weight, allowed);
        }
    };
    for rule in &policy.rules {
        match rule {
            NetworkRule::Domain { domain, action } => consider(domain, *action == NetworkAction::Allow),
            NetworkRule::Include { .. } => defaults.iter().for_each(|pattern| consider(pattern, true)),
        }
    }
    verdict.1
}

/// How specific a pattern is about a name; 0 when it isn't about it.
fn weight(pattern: &str, name: &str) -> usize {
    match pattern.strip_prefix("*.") {
        _ if pattern == "*" => 1,
        Some(suffix) => {
            let front = name.strip_suffix(suffix);
            let is_under = front.is_some_and(|front| front.len() > 1 && front.ends_with('.'));
            if is_under { 1 + suffix.len() } else { 0 }
        }
        None if pattern == name => usize::MAX,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn policy(rules: &[(&str, bool)]) -> NetworkPolicy {
        let action = |allow: bool| if allow { NetworkAction::Allow } else { NetworkAction::Deny };
        let rule =
            |(domain, allow): &(&str, bool)| NetworkRule::Domain { domain: (*domain).into(), action: action(*allow) };
        NetworkPolicy { rules: rules.iter().map(rule).collect() }
    }

    #[test]
    fn the_most_specific_rule_counts() {
        let rules =
            policy(&[("*", false), ("*.a.test", true), ("bad.a.test", false), ("b.test", true), ("*.x.a.test", false)]);
        for (name, allowed) in [
            ("www.a.test", true),
            ("WWW.A.TEST.", true),
            ("deep.www.a.test", true),
            ("a.test", false),
            ("bad.a.test", false),
            ("y.x.a.test", false),
            ("b.test", true),
            ("www.b.test", false),
            ("nota.test", false),
            ("", false),
        ] {
            assert_eq!(allows(&rules, &[], name), allowed, "{name}");
        }
        assert!(allows(&NetworkPolicy::default(), &[], "any.test"), "without rules there is no policy");
        assert!(allows(&policy(&[("*", true), ("a.test", false)]), &[], "b.test"));
        assert!(!allows(&policy(&[("a.test", true), ("a.test", false)]), &[], "a.test"), "in doubt: no");
        let included: NetworkPolicy =
            serde_json::from_str(r#"{"rules":[{"include":"defaults"},{"domain":"c.test","action":"deny"}]}"#).unwrap();
        let defaults = ["*.test".to_owned()];
        assert!(allows(&included, &defaults, "b.test") && !allows(&included, &defaults, "c.test"));
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for bad in ["", "*.", "a..b", "*a.test", "a.*.test", "http://a.test", "a test", &"a".repeat(64)] {
            assert!(check(&policy(&[(bad, true)])).is_err(), "{bad}");
        }
        assert_eq!(check(&policy(&[("*", true), ("*.a.test", false), ("_x.a.test", true)])), Ok(()));
        let other = NetworkPolicy { rules: vec![NetworkRule::Include { include: "others".into() }] };
        assert!(check(&other).is_err());
        assert_eq!(check(&policy(&[("a", true); 501])), Err(InvalidPolicy::TooMany));
    }

    proptest! {
        #[test]
        fn only_an_allowing_rule_about_a_name_allows_it(
            rules in proptest::collection::vec(("[*]|([*][.])?[ab]([.][ab]){0,2}", any::<bool>()), 1..6),
            name in "[ab]([.][ab]){0,3}",
        ) {
            let rules: Vec<(&str, bool)> = rules.iter().map(|(pattern, allow)| (pattern.as_str(), *allow)).collect();
            if allows(&policy(&rules), &[], &name) {
                prop_assert!(rules.iter().any(|(pattern, allow)| *allow && weight(pattern, &name) > 0));
            }
        }
    }
}
