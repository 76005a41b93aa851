//! How far two partitions of the same things agree beyond chance: adjusted mutual information, adjusted Rand index.

/// How often each pair of labels meets `[a][b]`.
struct Table {
    cells: Vec<Vec<u64>>,
    rows: Vec<u64>,
    columns: Vec<u64>,
    n: u64,
}

impl Table {
    fn of(a: &[u8], b: &[u8]) -> Self {
        let size = |v: &[u8]| v.iter().copied().max().map_or(0, |m| usize::from(m) + 1);
        let mut cells = vec![vec![0; size(b)]; size(a)];
        for (x, y) in a.iter().zip(b) {
            cells[usize::from(*x)][usize::from(*y)] += 1;
        }
        let rows: Vec<u64> = cells.iter().map(|r| r.iter().sum()).collect();
        let columns = (0..size(b)).map(|j| cells.iter().map(|r| r[j]).sum()).collect();
        Self { n: rows.iter().sum(), cells, rows, columns }
    }
}

fn entropy(counts: &[u64], n: f64) -> f64 {
    counts.iter().filter(|c| **c > 0).map(|&c| -(c as f64 / n) * (c as f64 / n).ln()).sum()
}

/// Mutual information that partitions of these sizes share by chance (Vinh, Epps, Bailey 2010).
fn expected(table: &Table) -> f64 {
    let n = table.n as usize;
    let mut ln_factorial = vec![0.0; n + 1];
    for k in 1..=n {
        ln_factorial[k] = ln_factorial[k - 1] + (k as f64).ln();
    }
    let f = |k: usize| ln_factorial[k];
    let mut sum = 0.0;
    for a in table.rows.iter().map(|a| *a as usize).filter(|a| *a > 0) {
        for b in table.columns.iter().map(|b| *b as usize).filter(|b| *b > 0) {
            let fixed = f(a) + f(b) + f(n - a) + f(n - b) - f(n);
            // Counts further from the middle than twelve deviations are less likely than rounding is large.
            let (a_share, b_share) = (a as f64 / n as f64, b as f64 / n as f64);
            let middle = n as f64 * a_share * b_share;
            let reach = 12.0 * (middle * (1.0 - a_share) * (1.0 - b_share)).sqrt() + 12.0;
            let from = (a + b).saturating_sub(n).max(1).max((middle - reach).max(0.0) as usize);
            for k in from..=a.min(b).min((middle + reach) as usize) {
                let ln_chance = fixed - f(k) - f(a - k) - f(b - k) - f(n + k - a - b);
                let share = k as f64 / n as f64;
                sum += share * (n as f64 * k as f64 / (a as f64 * b as f64)).ln() * ln_chance.exp();
            }
        }
    }
    sum
}

/// Adjusted mutual information (arithmetic mean of the entropies as its bound): 1 equal, 0 chance.
#[must_use]
pub fn ami(a: &[u8], b: &[u8]) -> f64 {
    let table = Table::of(a, b);
    let n = table.n as f64;
    let mut mutual = 0.0;
    for (row, x) in table.cells.iter().zip(&table.rows) {
        for (&cell, y) in row.iter().zip(&table.columns).filter(|(c, _)| **c > 0) {
            mutual += cell as f64 / n * (n * cell as f64 / (*x as f64 * *y as f64)).ln();
        }
    }
    let bound = f64::midpoint(entropy(&table.rows, n), entropy(&table.columns, n));
    let chance = expected(&table);
    if (bound - chance).abs() < 1e-12 { 1.0 } else { (mutual - chance) / (bound - chance) }
}

/// Adjusted Rand index: 1 equal, 0 chance.
#[must_use]
pub fn ari(a: &[u8], b: &[u8]) -> f64 {
    let table = Table::of(a, b);
    let pairs = |counts: &[u64]| counts.iter().map(|&c| c as f64 * (c as f64 - 1.0) / 2.0).sum::<f64>();
    let both: f64 = table.cells.iter().map(|row| pairs(row)).sum();
    let (rows, columns, all) = (pairs(&table.rows), pairs(&table.columns), pairs(&[table.n]));
    let (chance, bound) = (rows * columns / all.max(1.0), f64::midpoint(rows, columns));
    if (bound - chance).abs() < 1e-12 { 1.0 } else { (both - chance) / (bound - chance) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values from scikit-learn 1.9 (`adjusted_mutual_info_score`, `adjusted_rand_score`).
    #[test]
    fn agrees_with_scikit_learn() {
        let a = [0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3];
        let b = [1, 1, 0, 0, 0, 2, 2, 2, 2, 1, 1, 1];
        assert!((ami(&a, &b) - 0.252_011_616_957).abs() < 1e-9, "{}", ami(&a, &b));
        assert!((ari(&a, &b) - 0.184_177_997_528).abs() < 1e-9, "{}", ari(&a, &b));
    }

    #[test]
    fn names_do_not_matter_and_chance_is_zero() {
        let a: Vec<u8> = (0..600).map(|i| (i % 3) as u8).collect();
        let renamed: Vec<u8> = a.iter().map(|v| (v + 1) % 3).collect();
        assert!((ami(&a, &renamed) - 1.0).abs() < 1e-12 && (ari(&a, &renamed) - 1.0).abs() < 1e-12);
        let other: Vec<u8> = (0..600).map(|i| (i / 3 % 4) as u8).collect();
        assert!(ami(&a, &other).abs() < 0.01 && ari(&a, &other).abs() < 0.01);
    }

    #[test]
    fn what_chance_shares_falls_with_the_number_of_things() {
        let a: Vec<u8> = (0..60_000).map(|i| (i % 3) as u8).collect();
        let b: Vec<u8> = (0..60_000).map(|i| (i / 3 % 4) as u8).collect();
        // Half the degrees of freedom over n, for many things.
        let chance = expected(&Table::of(&a, &b));
        assert!((chance / (2.0 * 3.0 / 2.0 / 60_000.0) - 1.0).abs() < 1e-3, "{chance}");
    }
}
