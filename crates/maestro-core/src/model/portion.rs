//! What portion of the requests canaries get, and the weights of servers that come to it.

use std::fmt;

/// The portion of a service's requests that its canaries get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Portion {
    /// So many of a hundred, 1 to 99.
    pub percent: u8,
    /// To so many canaries together: each has its share of it, also while others of them are not there.
    pub canaries: usize,
}

/// What a server gets of the requests against others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Split {
    /// Each canary.
    pub canary: u8,
    /// Each other one.
    pub other: u8,
}

impl Split {
    /// What so many canaries get of a hundred requests, beside so many others.
    #[expect(clippy::cast_precision_loss, reason = "nobody has that many instances")]
    pub fn percent(self, canaries: usize, others: usize) -> f64 {
        let canaries = canaries as f64 * f64::from(self.canary);
        100.0 * canaries / (canaries + others as f64 * f64::from(self.other))
    }
}

impl Portion {
    /// The weights by which so many canaries that are there get their portion, beside so many others, as nearly as weights
    /// from 1 to 255 can have it; the smallest ones of those that are as near. None if there is nobody to share with.
    pub fn split(self, canaries: usize, others: usize) -> Option<Split> {
        if canaries == 0 || others == 0 {
            return None;
        }
        let (percent, most) = (u128::from(self.percent.clamp(1, 99)), u128::from(u8::MAX));
        let (here, others) = (canaries as u128, others as u128);
        let all = (self.canaries.max(canaries) as u128) * 100;
        // As `canary` is to `other`, so is `up` to `down`.
        let (up, down) = (percent * others, all - percent * here);
        let mut best: Option<(u128, u128, Split)> = None;
        for other in 1..=most {
            let below = up * other / down;
            for canary in [below, below + 1].map(|canary| canary.clamp(1, most)) {
                let total = here * canary + others * other;
                // How far it is off, in parts of `total`.
                let off = (canary * all).abs_diff(percent * total);
                let (Ok(canary), Ok(other)) = (u8::try_from(canary), u8::try_from(other)) else { continue };
                if best.is_none_or(|(least, of, _)| off * of < least * total) {
                    best = Some((off, total, Split { canary, other }));
                }
            }
        }
        best.map(|(_, _, split)| split)
    }
}

impl fmt::Display for Portion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}% of them", self.percent)?;
        match self.canaries {
            0 | 1 => Ok(()),
            many => write!(f, " for {many} canaries"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn weights(percent: u8, canaries: usize, others: usize) -> (u8, u8) {
        let split = Portion { percent, canaries }.split(canaries, others).unwrap();
        (split.canary, split.other)
    }

    #[test]
    fn small_weights_come_to_the_portion() {
        assert_eq!(weights(10, 1, 2), (2, 9));
        assert_eq!(weights(10, 1, 1), (1, 9));
        assert_eq!(weights(50, 1, 1), (1, 1));
        assert_eq!(weights(25, 1, 3), (1, 1));
        assert_eq!(weights(5, 2, 8), (4, 19));
        assert_eq!(weights(33, 1, 2), (66, 67));
        assert_eq!(weights(99, 1, 2), (198, 1));
        // One canary of two is there: it has its half.
        let half = Portion { percent: 10, canaries: 2 }.split(1, 2).unwrap();
        assert_eq!((half.canary, half.other), (2, 19));
        assert!((half.percent(1, 2) - 5.0).abs() < 1e-9);
        // More than there should be are not more than all.
        let many = Portion { percent: 99, canaries: 1 }.split(3, 1).unwrap();
        assert!((many.percent(3, 1) - 99.0).abs() < 1e-9);
        assert_eq!(Portion { percent: 10, canaries: 1 }.split(0, 3), None);
        assert_eq!(Portion { percent: 10, canaries: 1 }.split(1, 0), None);
    }

    /// Where the portion would be less than the lowest weight is, or more than the highest, that is what there is.
    #[test]
    fn weights_have_bounds() {
        assert_eq!(weights(1, 9, 1), (1, 255));
        assert_eq!(weights(99, 1, 50), (255, 1));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// No other weights would be nearer, and within the bounds one step more or less is never better.
        #[test]
        fn the_portion_is_as_near_as_weights_can_have_it(
            percent in 1_u8..=99, canaries in 1_usize..40, others in 1_usize..40, missing in 0_usize..40,
        ) {
            let portion = Portion { percent, canaries: canaries + missing };
            #[expect(clippy::cast_precision_loss, reason = "they are few")]
            let wanted = f64::from(percent) * canaries as f64 / (canaries + missing) as f64;
            let found = portion.split(canaries, others).unwrap();
            prop_assert!(found.canary > 0 && found.other > 0);
            let off = (found.percent(canaries, others) - wanted).abs();
            for canary in 1..=u8::MAX {
                for other in 1..=u8::MAX {
                    let other = Split { canary, other };
                    let distance = (other.percent(canaries, others) - wanted).abs();
                    prop_assert!(off <= distance + 1e-9, "{found:?} {off}, {other:?} {distance}");
                }
            }
            let ratio = f64::from(found.canary) / f64::from(found.other);
            if (1.0 / 250.0..250.0).contains(&ratio) {
                prop_assert!(off < 0.5, "{found:?} is {off} off");
            }
        }
    }
}
