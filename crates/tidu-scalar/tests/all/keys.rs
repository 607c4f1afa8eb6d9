//! Names of inputs: how they print, and that marks keep them apart.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use tidu_ad::ADKey;
use tidu_scalar::ScalarKey;

#[test]
fn a_key_prints_as_its_name_with_its_marks() {
    let x = ScalarKey::from("x");
    let cases = [
        (x.clone(), "x"),
        (ScalarKey::from("a word".to_string()), "a word"),
        (ScalarKey::fresh(7), "#7"),
        (x.tangent_of(1), "d1.x"),
        (x.cotangent_of(2), "ct2.x"),
        (x.tangent_of(1).tangent_of(2), "d2.d1.x"),
        (x.tangent_of(1).cotangent_of(0), "ct0.d1.x"),
        (ScalarKey::fresh(7).tangent_of(0), "d0.#7"),
    ];
    for (key, text) in cases {
        assert_eq!(key.to_string(), text);
        assert_eq!(format!("{key:?}"), text);
    }
}

/// Keys of which no two are equal.
fn distinct_keys() -> Vec<ScalarKey> {
    let names = [
        ScalarKey::from("x"),
        ScalarKey::from("y"),
        ScalarKey::from(""),
        ScalarKey::from("0"),
        ScalarKey::fresh(0),
        ScalarKey::fresh(1),
    ];
    let marked = names.iter().flat_map(|name| {
        [
            name.tangent_of(0),
            name.tangent_of(1),
            name.cotangent_of(0),
            name.cotangent_of(1),
            name.tangent_of(0).tangent_of(1),
            name.tangent_of(1).tangent_of(0),
            name.tangent_of(1).cotangent_of(0),
            name.cotangent_of(0).tangent_of(1),
        ]
    });
    names.iter().cloned().chain(marked).collect()
}

#[test]
fn keys_are_equal_exactly_where_name_and_marks_are() {
    for (i, a) in distinct_keys().iter().enumerate() {
        for (j, b) in distinct_keys().iter().enumerate() {
            assert_eq!(a == b, i == j, "{a} and {b}");
        }
    }
    let all: HashSet<_> = distinct_keys().into_iter().chain(distinct_keys()).collect();
    assert_eq!(all.len(), distinct_keys().len());
}

#[test]
fn a_name_that_looks_marked_is_not() {
    assert_ne!(ScalarKey::from("d1.x"), ScalarKey::from("x").tangent_of(1));
    assert_ne!(ScalarKey::from("#7"), ScalarKey::fresh(7));
    assert!(!ScalarKey::from("d1.x").is_tangent());
}

#[test]
fn the_last_mark_says_what_a_key_names() {
    let x = ScalarKey::from("x");
    let kinds = |key: &ScalarKey| (key.is_tangent(), key.is_cotangent());
    assert_eq!(kinds(&x), (false, false));
    assert_eq!(kinds(&x.tangent_of(1)), (true, false));
    assert_eq!(kinds(&x.tangent_of(1).cotangent_of(0)), (false, true));
    assert_eq!(kinds(&x.cotangent_of(0).tangent_of(2)), (true, false));
}

/// While a function is written, its inputs are nobody else's; but the number of the scope is never seen.
#[test]
fn a_key_in_a_scope_is_another_one_that_prints_alike() {
    let state = RandomState::new();
    for name in distinct_keys() {
        let (a, b) = (name.in_scope(1), name.in_scope(2));
        assert!(a != name && b != name && a != b && a == name.in_scope(1));
        for key in [&a, &b] {
            assert_eq!(key.to_string(), name.to_string());
            assert_eq!(state.hash_one(key), state.hash_one(&name));
            assert_ne!(key.tangent_of(0), name.tangent_of(0));
            assert_eq!(
                key.tangent_of(0).to_string(),
                name.tangent_of(0).to_string()
            );
        }
        assert_ne!(a.tangent_of(0), b.tangent_of(0));
    }
    let scoped = distinct_keys().into_iter().map(|key| key.in_scope(3));
    assert_eq!(scoped.collect::<HashSet<_>>().len(), distinct_keys().len());
}

#[test]
fn thousands_of_marks_need_no_stack() {
    let thread = std::thread::Builder::new().stack_size(128 << 10);
    let body = || {
        let mark = |key: ScalarKey, i: usize| match i % 2 {
            0 => key.tangent_of(i as u64),
            _ => key.cotangent_of(i),
        };
        let build = || (0..2_000).fold(ScalarKey::from("x"), mark);
        let (a, b) = (build(), build());
        assert!(a == b && a != a.tangent_of(0));
        assert_eq!(HashSet::from([a.clone(), b.clone()]).len(), 1);
        let text = a.to_string();
        assert!(text.starts_with("ct1999.d1998.") && text.ends_with(".ct1.d0.x"));
        drop(a);
        drop(b);
    };
    thread
        .spawn(body)
        .expect("a thread starts")
        .join()
        .expect("no panic");
}
