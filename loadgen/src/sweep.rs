//! `--sweep`: the same load with one of its numbers changed.

use crate::cli::Loop;
use std::str::FromStr;

/// What is changed, and to what.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    what: What,
    values: Vec<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Clients,
    Pipeline,
    Rate,
}

/// The most settings of one sweep.
const SETTINGS_MAX: usize = 100;

impl FromStr for Sweep {
    type Err = String;

    fn from_str(text: &str) -> Result<Sweep, String> {
        let (name, list) = text.split_once('=').ok_or("write clients=1,2,4, pipeline=1,4 or rate=1000,2000")?;
        let what = match name {
            "clients" => What::Clients,
            "pipeline" => What::Pipeline,
            "rate" => What::Rate,
            _ => return Err(format!("{name:?} cannot be swept; clients, pipeline and rate can")),
        };
        let mut values = Vec::new();
        for part in list.split(',') {
            let value: f64 = part.trim().parse().map_err(|_| format!("{part:?} is not a number"))?;
            let is_one = value.is_finite() && value > 0.0 && (what == What::Rate || value.fract() == 0.0);
            if !is_one {
                return Err(format!("{name}={part} is not possible"));
            }
            values.push(value);
        }
        if values.len() > SETTINGS_MAX {
            return Err(format!("{} settings; at most {SETTINGS_MAX} are possible", values.len()));
        }
        Ok(Sweep { what, values })
    }
}

impl Sweep {
    /// Each setting: what it is called, and the load with it.
    pub fn settings(&self, load: &Loop) -> Vec<(String, Loop)> {
        let setting = |value: &f64| {
            let mut load = load.clone();
            let name = match self.what {
                What::Clients => {
                    load.clients = *value as usize;
                    "clients"
                }
                What::Pipeline => {
                    load.pipeline = *value as usize;
                    "pipeline"
                }
                What::Rate => {
                    load.rate = Some(*value);
                    "rate"
                }
            };
            (format!("{name}={value}"), load)
        };
        self.values.iter().map(setting).collect()
    }
}
