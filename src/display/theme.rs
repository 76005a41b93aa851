//! Colours, colour depths and glyph sets. Numbers are those of `docs/ward.md`, section 4; the contrast test holds them.

use crate::snapshot::Family;
use ratatui::style::{Color, Modifier, Style};

/// A set of colours for one room and light.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Theme {
    /// Night: near-black background.
    #[default]
    Dark,
    /// Day: white background.
    Light,
    /// Every text at 7:1 or better.
    HighContrast,
    /// The Okabe-Ito hues on black.
    OkabeIto,
    /// No colour at all: reverse, bold, underline.
    Mono,
}

impl Theme {
    /// All themes, in the order of the key `t`.
    pub const ALL: [Self; 5] = [Self::Dark, Self::Light, Self::HighContrast, Self::OkabeIto, Self::Mono];

    pub(super) fn next(self) -> Self {
        let at = Self::ALL.iter().position(|t| *t == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()]
    }

    /// The word by which a config or a command line names it.
    #[must_use]
    pub fn word(self) -> &'static str {
        if self == Self::HighContrast { "high-contrast" } else { self.name() }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Dark => "dark",
            Self::Light => "light",
            Self::HighContrast => "high contrast",
            Self::OkabeIto => "okabe-ito",
            Self::Mono => "mono",
        }
    }
}

/// How many colours the terminal takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Depth {
    /// 24 bits.
    True,
    /// The 256-colour cube: the usual case over ssh.
    #[default]
    Indexed,
    /// The 16 named colours.
    Named,
    /// None.
    None,
}

/// Which characters draw traces and bars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Glyphs {
    /// Braille patterns, 2 by 4 dots a cell.
    #[default]
    Braille,
    /// Printable ASCII only.
    Ascii,
}

/// How the screen is dressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look {
    /// The colours.
    pub theme: Theme,
    /// How many of them.
    pub depth: Depth,
    /// The characters.
    pub glyphs: Glyphs,
    /// The advisory's chip is white: for wards whose monitors use cyan for technical messages.
    pub white_advisory: bool,
}

impl Look {
    /// What the environment says: `NO_COLOR`, `COLORTERM`, `COLORFGBG`, `TERM`, `LC_ALL`, `LC_CTYPE`, `LANG`.
    ///
    /// `variable` reads one variable; the caller owns the environment.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| variable(name).unwrap_or_default();
        let term = get("TERM");
        let depth = if !get("NO_COLOR").is_empty() || term == "dumb" {
            Depth::None
        } else if matches!(get("COLORTERM").as_str(), "truecolor" | "24bit") {
            Depth::True
        } else if term.contains("256color") {
            Depth::Indexed
        } else {
            Depth::Named
        };
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].map(get).into_iter().find(|v| !v.is_empty());
        let utf8 = locale.is_some_and(|v| {
            let v = v.to_ascii_lowercase();
            v.contains("utf-8") || v.contains("utf8")
        });
        let glyphs = if utf8 && term != "linux" { Glyphs::Braille } else { Glyphs::Ascii };
        let light = matches!(get("COLORFGBG").rsplit(';').next(), Some("7" | "15"));
        let theme = if light { Theme::Light } else { Theme::Dark };
        Self { theme, depth, glyphs, white_advisory: false }
    }
}

/// Foreground on background.
type Chip = (u32, u32);

/// A theme's colours as 0xRRGGBB.
pub(super) struct Spec {
    pub background: u32,
    pub text: u32,
    pub dim: u32,
    pub alert: Chip,
    pub advisory: Chip,
    pub unwatched: Chip,
    pub paused: Chip,
    pub banner: Chip,
    /// Q S T P baseline mixed.
    pub families: [u32; 6],
}

const OKABE_FAMILIES: [u32; 6] = [0xE6_9F00, 0xD5_5E00, 0x56_B4E9, 0x00_9E73, 0xBB_BBBB, 0xCC_79A7];

pub(super) const DARK: Spec = Spec {
    background: 0x0B_0F14,
    text: 0xE6_EAF0,
    dim: 0x9A_A7B5,
    alert: (0x0B_0F14, 0xFF_D447),
    advisory: (0x0B_0F14, 0x5F_D7FF),
    unwatched: (0x0B_0F14, 0xB8_C4D0),
    paused: (0x0B_0F14, 0xC7_92EA),
    banner: (0x0B_0F14, 0xFF_FFFF),
    families: OKABE_FAMILIES,
};

pub(super) const LIGHT: Spec = Spec {
    background: 0xFF_FFFF,
    text: 0x16_191D,
    dim: 0x4A_5560,
    alert: (0x16_191D, 0xFF_D447),
    advisory: (0x16_191D, 0x8F_DDF5),
    unwatched: (0xFF_FFFF, 0x3D_4A57),
    paused: (0xFF_FFFF, 0x6A_2C91),
    banner: (0xFF_FFFF, 0x16_191D),
    families: [0x8A_6100, 0x6A_2B00, 0x00_63B8, 0x00_7A55, 0x3F_4A54, 0xC0_2C8A],
};

pub(super) const HIGH_CONTRAST: Spec = Spec {
    background: 0x00_0000,
    text: 0xFF_FFFF,
    dim: 0xD0_D0D0,
    alert: (0x00_0000, 0xFF_FF00),
    advisory: (0x00_0000, 0x00_FFFF),
    unwatched: (0x00_0000, 0xE0_E0E0),
    paused: (0x00_0000, 0xFF_B3FF),
    banner: (0x00_0000, 0xFF_FFFF),
    families: [0xFF_D27F, 0xFF_7A1A, 0x6C_B8FF, 0x2F_D08A, 0xFF_FFFF, 0xFF_8CC8],
};

pub(super) const OKABE_ITO: Spec = Spec {
    background: 0x00_0000,
    text: 0xFF_FFFF,
    dim: 0xBB_BBBB,
    alert: (0x00_0000, 0xF0_E442),
    advisory: (0x00_0000, 0x56_B4E9),
    unwatched: (0x00_0000, 0xBB_BBBB),
    paused: (0x00_0000, 0xCC_79A7),
    banner: (0x00_0000, 0xFF_FFFF),
    families: OKABE_FAMILIES,
};

/// The resolved styles of one look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Palette {
    pub text: Style,
    pub dim: Style,
    pub bold: Style,
    pub alert: Style,
    pub advisory: Style,
    pub unwatched: Style,
    pub paused: Style,
    pub banner: Style,
    families: [Style; 6],
    pub glyphs: Glyphs,
}

pub(super) fn spec(theme: Theme) -> &'static Spec {
    match theme {
        Theme::Dark | Theme::Mono => &DARK,
        Theme::Light => &LIGHT,
        Theme::HighContrast => &HIGH_CONTRAST,
        Theme::OkabeIto => &OKABE_ITO,
    }
}

/// The advisory's chip where cyan means something else on this ward.
fn white_advisory(spec: &Spec) -> Chip {
    (spec.advisory.0, 0xFF_FFFF)
}

impl Palette {
    pub fn new(look: Look) -> Self {
        let plain = Style::new();
        if look.theme == Theme::Mono || look.depth == Depth::None {
            let reverse = plain.add_modifier(Modifier::REVERSED);
            return Self {
                text: plain,
                dim: plain,
                bold: plain.add_modifier(Modifier::BOLD),
                alert: reverse.add_modifier(Modifier::BOLD),
                advisory: plain.add_modifier(Modifier::BOLD),
                unwatched: reverse,
                paused: plain.add_modifier(Modifier::UNDERLINED),
                banner: reverse,
                families: [plain; 6],
                glyphs: look.glyphs,
            };
        }
        let spec = spec(look.theme);
        let (advisory, named_advisory) = if look.white_advisory {
            (white_advisory(spec), Color::White)
        } else {
            (spec.advisory, Color::Cyan)
        };
        let named = look.depth == Depth::Named;
        let fg = |hex: u32, name: Color| plain.fg(if named { name } else { resolve(hex, look.depth) });
        let chip = |(f, b): Chip, name: Color| {
            if named {
                plain.fg(Color::Black).bg(name)
            } else {
                plain.fg(resolve(f, look.depth)).bg(resolve(b, look.depth))
            }
        };
        // Yellow and cyan chips reach only 1.4 against white, so there the light theme underlines them.
        let mark = if look.theme == Theme::Light { plain.add_modifier(Modifier::UNDERLINED) } else { plain };
        let names = named_families(look.theme);
        let dim = if look.theme == Theme::Light { Color::Reset } else { Color::Gray };
        let mut families = [plain; 6];
        for (i, style) in families.iter_mut().enumerate() {
            *style = fg(spec.families[i], names[i]);
            if look.depth == Depth::Indexed && spec.families == OKABE_FAMILIES {
                *style = plain.fg(Color::Indexed([214, 166, 74, 36, 250, 175][i]));
            }
        }
        let text = fg(spec.text, Color::Reset);
        Self {
            text,
            dim: fg(spec.dim, dim),
            bold: text.add_modifier(Modifier::BOLD),
            alert: chip(spec.alert, Color::LightYellow).add_modifier(Modifier::BOLD).patch(mark),
            advisory: chip(advisory, named_advisory).patch(mark),
            unwatched: chip(spec.unwatched, Color::Gray),
            paused: chip(spec.paused, Color::LightMagenta),
            banner: if named {
                plain.add_modifier(Modifier::REVERSED)
            } else {
                chip(spec.banner, Color::White)
            },
            families,
            glyphs: look.glyphs,
        }
    }

    /// The foreground of one family of clusters.
    pub fn family(&self, family: Family) -> Style {
        self.families[family_index(family)]
    }
}

fn named_families(theme: Theme) -> [Color; 6] {
    match theme {
        Theme::Light => {
            [Color::Yellow, Color::DarkGray, Color::Blue, Color::Green, Color::Reset, Color::Magenta]
        }
        _ => [
            Color::Yellow,
            Color::LightYellow,
            Color::LightBlue,
            Color::Green,
            Color::Reset,
            Color::LightMagenta,
        ],
    }
}

fn family_index(family: Family) -> usize {
    match family {
        Family::Q => 0,
        Family::S => 1,
        Family::T => 2,
        Family::P => 3,
        Family::Baseline => 4,
        Family::Mixed => 5,
    }
}

/// Red, green, blue of 0xRRGGBB.
pub(super) fn rgb(hex: u32) -> [u8; 3] {
    [(hex >> 16) as u8, (hex >> 8) as u8, hex as u8]
}

fn resolve(hex: u32, depth: Depth) -> Color {
    let [r, g, b] = rgb(hex);
    if depth == Depth::True { Color::Rgb(r, g, b) } else { Color::Indexed(nearest_indexed([r, g, b])) }
}

/// Red, green, blue of an entry of the 256-colour table from 16 on (cube, then greys).
pub(super) fn indexed_rgb(index: u8) -> [u8; 3] {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    if index >= 232 {
        return [8 + 10 * (index - 232); 3];
    }
    let i = usize::from(index.saturating_sub(16));
    [LEVELS[i / 36], LEVELS[i / 6 % 6], LEVELS[i % 6]]
}

fn nearest_indexed(want: [u8; 3]) -> u8 {
    let distance = |index: u8| -> i32 {
        indexed_rgb(index).iter().zip(want).map(|(a, b)| (i32::from(*a) - i32::from(b)).pow(2)).sum()
    };
    (16..=255).min_by_key(|&i| distance(i)).unwrap_or(250)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luminance(hex: u32) -> f64 {
        let [r, g, b] = rgb(hex).map(|c| {
            let c = f64::from(c) / 255.0;
            if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    fn contrast(a: u32, b: u32) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn every_text_and_chip_reads_against_its_background() {
        for theme in Theme::ALL {
            let s = spec(theme);
            let (text_min, chip_min) = if theme == Theme::HighContrast { (7.0, 7.0) } else { (4.5, 4.5) };
            for hex in [s.text, s.dim] {
                assert!(contrast(hex, s.background) >= text_min, "{theme:?} {hex:06x}");
            }
            for (f, b) in [s.alert, s.advisory, white_advisory(s), s.unwatched, s.paused, s.banner] {
                assert!(contrast(f, b) >= chip_min, "{theme:?} {f:06x} on {b:06x}");
            }
            // The ribbon's letters are text in these hues.
            for hex in s.families {
                assert!(contrast(hex, s.background) >= 4.5, "{theme:?} {hex:06x}");
            }
        }
    }

    fn index(color: Option<Color>) -> u32 {
        let Some(Color::Indexed(i)) = color else { panic!("{color:?} is not of the 256") };
        indexed_rgb(i).iter().fold(0u32, |h, c| h << 8 | u32::from(*c))
    }

    #[test]
    fn the_256_colour_themes_keep_their_contrast() {
        for theme in [Theme::Dark, Theme::Light, Theme::HighContrast, Theme::OkabeIto] {
            let p = Palette::new(Look { theme, depth: Depth::Indexed, ..Look::default() });
            for style in [p.text, p.dim].into_iter().chain(p.families) {
                let ratio = contrast(index(style.fg), spec(theme).background);
                assert!(ratio >= 4.5, "{theme:?} {style:?} {ratio:.1}");
            }
            for style in [p.alert, p.advisory, p.unwatched, p.paused, p.banner] {
                let ratio = contrast(index(style.fg), index(style.bg));
                assert!(ratio >= 4.5, "{theme:?} {style:?} {ratio:.1}");
            }
        }
    }

    #[test]
    fn the_environment_chooses_depth_and_glyphs() {
        let look = |pairs: &'static [(&str, &str)]| {
            Look::from_environment(|name| {
                pairs.iter().find(|(k, _)| *k == name).map(|(_, v)| (*v).to_owned())
            })
        };
        let utf8 = look(&[("TERM", "xterm-256color"), ("LANG", "en_GB.UTF-8")]);
        assert_eq!((utf8.depth, utf8.glyphs), (Depth::Indexed, Glyphs::Braille));
        let console = look(&[("TERM", "linux"), ("LANG", "en_GB.UTF-8")]);
        assert_eq!((console.depth, console.glyphs), (Depth::Named, Glyphs::Ascii));
        assert_eq!(look(&[("TERM", "xterm-256color"), ("NO_COLOR", "1")]).depth, Depth::None);
        assert_eq!(look(&[("COLORTERM", "truecolor"), ("NO_COLOR", "")]).depth, Depth::True);
        assert_eq!(look(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]).glyphs, Glyphs::Ascii);
        assert_eq!(look(&[("COLORFGBG", "0;15")]).theme, Theme::Light);
    }
}
