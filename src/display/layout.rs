//! Where sectors stand: a table over size and number of beds. Sectors never move while both stay.

use ratatui::layout::Rect;

/// Most beds on one page: more are not watched well at a glance.
pub(super) const PAGE_BEDS: usize = 16;

/// How the beds of a page are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grid {
    /// Sectors side by side; 0 = one row a bed, no sectors.
    pub columns: u16,
    /// Rows of one sector.
    pub rows: u16,
    /// Beds a page.
    pub page: usize,
}

/// Lays out `beds` in `width` by `height` cells (header and strip already taken off).
pub(super) fn grid(width: u16, height: u16, beds: usize) -> Grid {
    let shown = beds.clamp(1, PAGE_BEDS) as u16;
    let most = (width / 38).clamp(1, 4);
    let rows = |columns: u16| height / shown.div_ceil(columns);
    let chosen = (1..=most).find(|c| rows(*c) >= 6).or_else(|| (1..=most).find(|c| rows(*c) >= 4));
    if let Some(columns) = chosen {
        return Grid { columns, rows: rows(columns), page: PAGE_BEDS };
    }
    let page = usize::from(height.saturating_sub(1)).clamp(1, PAGE_BEDS);
    Grid { columns: 0, rows: 1, page }
}

/// Rows of the strip at the foot of the ward view: alerts, beds not watched, footer.
pub(super) fn strip_rows(size: (u16, u16)) -> u16 {
    if size.1 >= 36 && size.0 >= 100 { 7 } else { 3 }
}

/// The grid of the ward view on a screen of `size` cells.
pub(super) fn ward_grid(size: (u16, u16), beds: usize) -> Grid {
    grid(size.0, size.1.saturating_sub(1 + strip_rows(size)), beds)
}

impl Grid {
    /// The sector of the `index`-th bed of a page inside `area`.
    pub fn sector(&self, area: Rect, index: usize) -> Rect {
        let columns = self.columns.max(1);
        let wide = area.width / columns;
        let (column, row) = (index as u16 % columns, index as u16 / columns);
        let gap = u16::from(column + 1 < columns);
        Rect::new(area.x + column * wide, area.y + row * self.rows, wide.saturating_sub(gap), self.rows)
            .intersection(area)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mock_ups_sizes_give_their_grids() {
        for (w, h, beds, columns, rows) in [
            (80, 20, 8, 2, 5),
            (80, 18, 16, 0, 1),
            (120, 32, 16, 2, 4),
            (120, 32, 8, 2, 8),
            (80, 20, 1, 1, 20),
            (80, 20, 4, 2, 10),
            (200, 52, 16, 2, 6),
            (200, 52, 40, 2, 6),
        ] {
            let g = grid(w, h, beds);
            assert_eq!((g.columns, g.rows), (columns, rows), "{w}x{h} {beds}");
        }
    }

    #[test]
    fn sectors_stay_inside_and_apart() {
        let area = Rect::new(0, 1, 119, 31);
        for beds in 1..=16 {
            let g = grid(area.width, area.height, beds);
            let all: Vec<Rect> = (0..beds).map(|i| g.sector(area, i)).collect();
            for (i, a) in all.iter().enumerate() {
                assert_eq!(a.intersection(area), *a);
                assert!(g.columns == 0 || all[..i].iter().all(|b| !a.intersects(*b)), "{beds} beds");
            }
        }
    }
}
