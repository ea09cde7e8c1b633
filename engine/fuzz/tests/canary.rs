//! The harness must find what is there to be found: a silent one proves nothing.

use plimsoll_fuzz::{Damage, Seeds};

#[test]
#[should_panic(expected = "test failed")]
fn a_planted_fault_is_found() {
    let seeds = Seeds::new(vec![vec![0; 64]]);
    bolero::check!().with_iterations(1000).with_type::<(u16, Vec<(u32, u8)>, Option<u32>)>().for_each(
        |(seed, bytes, cut)| {
            let input = Damage { seed: *seed, bytes, cut: *cut }.apply(&seeds);
            assert!(input.iter().all(|&byte| byte < 0x80), "the canary sings");
        },
    );
}

#[test]
fn damage_is_what_it_says() {
    let seeds = Seeds::new(vec![vec![1, 2, 3], vec![]]);
    let damage = Damage { seed: 2, bytes: &[(4, 9)], cut: Some(5) };
    assert_eq!(damage.apply(&seeds), [1, 9]);
    assert!(Damage { seed: 1, ..damage }.apply(&seeds).is_empty());
}
