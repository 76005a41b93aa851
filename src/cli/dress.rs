//! How the screen is dressed: the command line's word first, then the config's, then the environment's.

use crate::config::Settings;
use crate::display::{Depth, Glyphs, Look, Theme};
use std::env;

/// Colours and characters.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Dress {
    /// Colours: auto asks the config, then the terminal.
    #[arg(long, default_value = "auto", value_parser = ["auto", "dark", "light", "high-contrast", "okabe-ito", "mono"])]
    theme: String,
    /// How many colours the terminal takes; auto asks the environment.
    #[arg(long, default_value = "auto", value_parser = ["auto", "true", "256", "16", "none"])]
    color: String,
    /// Characters of traces and bars; ascii for fonts without braille.
    #[arg(long, default_value = "auto", value_parser = ["auto", "braille", "ascii"])]
    glyphs: String,
}

impl Dress {
    /// The look on this machine.
    pub(super) fn look(&self, settings: &Settings) -> Look {
        let mut look = Look::from_environment(|name| env::var(name).ok());
        for theme in [settings.display.theme.as_str(), &self.theme] {
            look.theme = Theme::ALL.into_iter().find(|t| t.word() == theme).unwrap_or(look.theme);
        }
        for glyphs in [settings.display.glyphs.as_str(), &self.glyphs] {
            look.glyphs = match glyphs {
                "braille" => Glyphs::Braille,
                "ascii" => Glyphs::Ascii,
                _ => look.glyphs,
            };
        }
        look.white_advisory = settings.display.advisory_hue == "white";
        look.depth = match self.color.as_str() {
            "true" => Depth::True,
            "256" => Depth::Indexed,
            "16" => Depth::Named,
            "none" => Depth::None,
            _ => look.depth,
        };
        look
    }
}
