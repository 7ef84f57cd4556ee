//! Estimates from the counts of an outbreak: what is asked, intervals, changes of the reproduction number, forecasts, and what all
//! of it means in words.

pub mod answer;
pub mod changes;
pub mod curves;
pub mod draws;
pub mod interval;
pub mod knowledge;
pub mod picture;
pub mod question;
pub mod words;

use sirocco::bundle::Bundle;
use sirocco::outbreak::{Count, Fit, Noise, Setting};

/// What is asked, and of which model.
#[derive(Debug, Clone, Copy)]
pub struct Question<'q, 'a> {
    /// A model of SIR.
    pub bundle: &'q Bundle<'a>,
    /// The counts of all series.
    pub counts: &'q [Count],
    /// What they count, and what is unknown.
    pub setting: &'q Setting,
}

impl Question<'_, '_> {
    /// Whether the scatter is estimated from the residuals.
    pub fn estimates_scatter(&self) -> bool {
        matches!(self.setting.noise, Noise::Gaussian { sigma: None } | Noise::NegativeBinomial { dispersion: None })
    }

    /// The setting with the scatter that a fit has found, and the rise of the deviance that counts as one.
    pub fn settled(&self, fit: &Fit) -> (Setting, f32) {
        let noise = match self.setting.noise {
            Noise::NegativeBinomial { .. } if fit.dispersion.is_finite() => {
                Noise::NegativeBinomial { dispersion: Some(fit.dispersion) }
            }
            Noise::NegativeBinomial { .. } => Noise::Poisson,
            noise => noise,
        };
        let unit = match noise {
            Noise::Gaussian { sigma: None } => fit.dispersion * fit.dispersion,
            _ => 1.0,
        };
        (Setting { noise, ..self.setting.clone() }, unit)
    }
}

/// The range of parameter `k` of a setting.
pub fn range_mut(setting: &mut Setting, k: usize) -> Option<&mut sirocco::bundle::Range> {
    use sirocco::outbreak::{BACKGROUND, INFECTED, RECOVERY, REPRODUCTION, SCALE};
    match k {
        INFECTED => Some(&mut setting.infected),
        RECOVERY => Some(&mut setting.recovery),
        SCALE => Some(&mut setting.scale),
        BACKGROUND => Some(&mut setting.background),
        piece if piece < setting.reporting_place() => setting.reproduction.get_mut(piece - REPRODUCTION),
        ratio => {
            let place = ratio - setting.reporting_place();
            setting.reporting.get_mut(place).map(|change| &mut change.ratio)
        }
    }
}
