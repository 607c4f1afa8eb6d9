//! Which inputs are active, which outputs have cotangents: sets to try.

use super::random::Random;

/// Up to this many members, all sets are tried.
const ALL_UP_TO: usize = 6;

/// How many random sets are tried of more members than that.
const RANDOM_SETS: usize = 16;

/// The sets of `members` to try, none of them empty, the full one first.
///
/// All 2ⁿ - 1 of up to six members. Of more: the full set, single members, all but one, pairs that
/// are next to one another and pairs of the first with any, and sixteen random sets.
pub(super) fn patterns(members: &[usize], random: &mut Random) -> Vec<Vec<usize>> {
    let n = members.len();
    if n == 0 {
        return Vec::new();
    }
    let mut sets = vec![members.to_vec()];
    let mut add = |chosen: &dyn Fn(usize) -> bool| {
        let set = (0..n).filter(|&at| chosen(at)).map(|at| members[at]);
        let set: Vec<usize> = set.collect();
        if !set.is_empty() && !sets.contains(&set) {
            sets.push(set);
        }
    };
    if n <= ALL_UP_TO {
        for bits in 1..1_usize << n {
            add(&|at| bits >> at & 1 == 1);
        }
        return sets;
    }
    for one in 0..n {
        add(&|at| at == one);
        add(&|at| at != one);
        add(&|at| at == one || at == one + 1);
        add(&|at| at == 0 || at == one);
    }
    for _ in 0..RANDOM_SETS {
        let bits = random.fork(0);
        random.bits();
        add(&|at| bits.fork(at as u64).below(2) == 1);
    }
    sets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_members_give_all_sets() {
        let sets = patterns(&[3, 5, 8], &mut Random::new(1));
        assert_eq!(sets[0], [3, 5, 8]);
        assert_eq!(sets.len(), 7);
        assert!(sets.contains(&vec![3, 8]));
    }

    #[test]
    fn many_members_give_few_sets() {
        let members: Vec<usize> = (0..20).collect();
        let sets = patterns(&members, &mut Random::new(1));
        assert!(sets.len() < 5 * 20);
        assert!(members.iter().all(|&one| sets.contains(&vec![one])));
        assert!(sets.contains(&vec![0, 7]) && sets.contains(&vec![7, 8]));
        assert!(sets.iter().any(|set| set.len() > 3 && set.len() < 17));
    }
}
