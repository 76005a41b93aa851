//! Figures of merit. `auroc` is from scores; nothing here takes a decision for a score.

/// Area under the ROC curve of scores; ties count half. `None` if one class is missing.
#[must_use]
pub fn auroc(truth: &[bool], scores: &[f32]) -> Option<f64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let positives = truth.iter().filter(|t| **t).count();
    let negatives = truth.len() - positives;
    if positives == 0 || negatives == 0 {
        return None;
    }
    let mut rank_sum = 0.0;
    let mut from = 0;
    while from < order.len() {
        let tied =
            order[from..].iter().take_while(|&&i| scores[i].total_cmp(&scores[order[from]]).is_eq()).count();
        let rank = from as f64 + (tied + 1) as f64 / 2.0;
        rank_sum += rank * order[from..from + tied].iter().filter(|&&i| truth[i]).count() as f64;
        from += tied;
    }
    let (p, n) = (positives as f64, negatives as f64);
    Some((rank_sum - p * (p + 1.0) / 2.0) / (p * n))
}

/// Mean AUROC over classes `[class][record]`; a class without both kinds counts not.
#[must_use]
pub fn macro_auroc(truth: &[Vec<bool>], scores: &[Vec<f32>]) -> f64 {
    mean(truth.iter().zip(scores).filter_map(|(t, s)| auroc(t, s)))
}

/// Mean; 0 of nothing.
pub fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (n, sum) = values.into_iter().fold((0u32, 0.0), |(n, s), v| (n + 1, s + v));
    sum / f64::from(n.max(1))
}

/// Share of equal labels.
#[must_use]
pub fn agreement(a: &[bool], b: &[bool]) -> f64 {
    a.iter().zip(b).filter(|(a, b)| a == b).count() as f64 / a.len().max(1) as f64
}

/// Cohen's kappa of two labellings.
#[must_use]
pub fn kappa(a: &[bool], b: &[bool]) -> f64 {
    let share = |v: &[bool]| v.iter().filter(|x| **x).count() as f64 / v.len().max(1) as f64;
    let (pa, pb) = (share(a), share(b));
    let chance = pa * pb + (1.0 - pa) * (1.0 - pb);
    if chance >= 1.0 { 1.0 } else { (agreement(a, b) - chance) / (1.0 - chance) }
}

/// The threshold whose decisions have the best kappa with the truth, among the quantiles 1 % to 99 % of the scores. It
/// keeps the share of right labels of 0.5 and misses far fewer of a rare class (docs/decisions.md).
#[must_use]
pub fn best_kappa_threshold(truth: &[bool], scores: &[f32]) -> f32 {
    let mut sorted = scores.to_vec();
    sorted.sort_by(f32::total_cmp);
    let of = |threshold: f32| kappa(truth, &scores.iter().map(|s| *s >= threshold).collect::<Vec<_>>());
    let candidates = (0..197).filter_map(|q| {
        let at = (0.01 + 0.98 * f64::from(q) / 196.0) * (sorted.len().saturating_sub(1)) as f64;
        sorted.get(at.round() as usize).copied()
    });
    candidates.map(|t| (t, of(t))).fold((0.5, -1.0), |best, c| if c.1 > best.1 { c } else { best }).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auroc_counts_pairs_and_ties_half() {
        let truth = [false, false, true, true];
        assert_eq!(auroc(&truth, &[0.1, 0.4, 0.35, 0.8]), Some(0.75));
        assert_eq!(auroc(&truth, &[0.5; 4]), Some(0.5));
        assert_eq!(auroc(&[true, true], &[0.1, 0.2]), None);
    }

    #[test]
    fn kappa_takes_chance_off() {
        let a = [true, true, false, false, true, false, false, false, false, false];
        let b = [true, false, false, false, true, false, false, false, false, true];
        // 8 of 10 agree; chance 0.3² + 0.7² = 0.58.
        assert!((kappa(&a, &b) - (0.8 - 0.58) / 0.42).abs() < 1e-12);
    }

    #[test]
    fn the_threshold_separates_where_it_can() {
        let t = best_kappa_threshold(&[false, false, true, true], &[0.1, 0.2, 0.7, 0.9]);
        assert!(t > 0.2 && t <= 0.7);
    }
}
