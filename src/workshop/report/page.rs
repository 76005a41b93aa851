//! `report.html`: one page, self-contained, for a cardiologist and a reviewer.

use super::Parts;
use super::html::{interval, percent, score, table};
use super::plots::{Series, lines};
use super::promises::page_table;
use super::shortfalls::page_list;
use super::summary::{CHOSEN, Cut, HALF, follower, over};
use crate::workshop::WorkshopError;
use crate::workshop::evaluate::{Followed, Landmarks, METHODS};
use std::fmt::Write;

const STYLE: &str = include_str!("page.css");

fn followers(parts: &Parts, cut: Cut) -> String {
    let names = [
        ("pooled_logistic", "mean activations, logistic regression (ceiling)"),
        ("extra_trees", "mean soft assignments, extremely randomised trees: the claim"),
        ("logistic_soft", "mean soft assignments, logistic regression"),
        ("surrogate", "the surrogate in the bundle (serves every lead set)"),
        ("forest", "shares of clusters, random forest"),
        ("logistic", "shares of clusters, logistic regression"),
        ("random_pooled_logistic", "mean activations of an untrained network, logistic regression (floor)"),
        ("raw_forest", "clusters of the raw signal, random forest (floor)"),
        ("random_forest", "clusters of an untrained network, random forest (floor)"),
        ("majority", "always the more frequent decision (floor)"),
    ];
    let judged = |key: &str| parts.folds.iter().all(|j| cut(&j.figures).followers.contains_key(key));
    let rows: Vec<Vec<String>> = names
        .iter()
        .filter(|(key, _)| judged(key))
        .map(|(key, what)| {
            let of = |f: fn(&Followed) -> f64| follower(parts, cut, key, f);
            vec![
                (*what).into(),
                percent(&of(|f| f.agreement)),
                score(&of(|f| f.kappa)),
                percent(&of(|f| f.exact)),
                percent(&of(|f| f.accuracy)),
                score(&of(|f| f.auroc_macro)),
                score(&of(|f| f.auroc_hard)),
            ]
        })
        .collect();
    let head = [
        "who follows the network",
        "agreement",
        "kappa",
        "all five labels",
        "right labels",
        "AUROC (scores)",
        "AUROC (0/1)",
    ];
    table(&head, &rows)
        + &format!(
            "<p>The network itself: right labels {}, AUROC of its 0/1 decisions {}.</p>\n",
            percent(&over(parts, |j| cut(&j.figures).accuracy)),
            score(&over(parts, |j| cut(&j.figures).auroc_hard))
        )
}

fn leads(parts: &Parts) -> String {
    let names = ["NORM", "MI", "STTC", "CD", "HYP"];
    let rows: Vec<Vec<String>> = crate::workshop::LEAD_SETS
        .iter()
        .filter_map(|(name, _)| {
            let fold10 = parts.shipped.figures.leads.get(*name)?;
            let all = over(parts, |j| j.figures.leads.get(*name).map_or(f64::NAN, |l| l.auroc_macro));
            let mut row = vec![(*name).to_owned(), score(&all), format!("{:.4}", fold10.auroc_macro)];
            row.extend(names.map(|c| format!("{:.3}", fold10.auroc.get(c).copied().unwrap_or(f64::NAN))));
            Some(row)
        })
        .collect();
    table(&["leads", "all folds", "shipped, fold 10", "NORM", "MI", "STTC", "CD", "HYP"], &rows)
}

/// The table of clusters and waves, darker where more of a cluster's steps fall.
fn heat_map(l: &Landmarks) -> String {
    let mut html = String::from("<table class=heat><tr><th>cluster</th>");
    for wave in ["P", "PR", "QRS", "ST", "T", "T-P"] {
        let _ = write!(html, "<th>{wave}</th>");
    }
    html.push_str("<th>steps</th></tr>\n");
    for (k, row) in l.table.iter().enumerate() {
        let total = row.iter().sum::<u64>();
        let _ = write!(html, "<tr><td>{k} {}</td>", l.names.get(k).map_or("", String::as_str));
        for n in row {
            let share = *n as f64 / total.max(1) as f64;
            let ink = if share > 0.55 { "#fff" } else { "#111" };
            let _ = write!(
                html,
                "<td style=\"background:rgba(20,70,140,{share:.2});color:{ink}\">{:.0}</td>",
                share * 100.0
            );
        }
        let _ = writeln!(html, "<td>{total}</td></tr>");
    }
    html + "</table>\n"
}

fn landmark_section(parts: &Parts) -> String {
    let rows: Vec<Vec<String>> = parts
        .landmarks
        .iter()
        .map(|l| {
            vec![
                format!("{} ({} records, {} steps)", l.what, l.records, l.steps),
                interval(l.ami),
                interval(l.ami_random),
                interval(l.ami_raw),
                interval(l.margin),
                format!("{:.3}", l.ami_shifted),
                format!("{:.3}", l.ami_with_edges),
            ]
        })
        .collect();
    let head = [
        "",
        "clusters",
        "untrained network",
        "raw signal",
        "margin",
        "shifted in time",
        "with unannotated steps",
    ];
    let mut html = table(&head, &rows);
    if let Some(l) = parts.landmarks.first() {
        let _ =
            write!(html, "<p>Share of each cluster's steps in each wave, %, {}:</p>{}", l.what, heat_map(l));
    }
    html
}

fn choice_section(parts: &Parts) -> Result<String, WorkshopError> {
    if parts.choice.is_empty() {
        return Ok("<p>The sweep over K and blocks was not run.</p>".into());
    }
    let mut weights: Vec<&Vec<f32>> = Vec::new();
    for way in &parts.choice {
        if !weights.contains(&&way.block_weights) {
            weights.push(&way.block_weights);
        }
    }
    let series = |of: fn(&crate::workshop::evaluate::Candidate) -> f64| -> Vec<Series> {
        let with = |w: &&Vec<f32>| {
            let ways = parts.choice.iter().filter(|c| &c.block_weights == *w);
            let mut points: Vec<(f64, f64)> = ways.map(|c| (c.clusters as f64, of(c))).collect();
            points.sort_by(|a, b| a.0.total_cmp(&b.0));
            Series { name: format!("blocks {w:?}"), points }
        };
        weights.iter().map(with).collect()
    };
    let rows: Vec<Vec<String>> = parts
        .choice
        .iter()
        .map(|c| {
            vec![
                format!("{}{}", c.clusters, if c.chosen { " <b>chosen</b>" } else { "" }),
                format!("{:?}", c.block_weights),
                format!("{:.2} %", c.agreement_hard * 100.0),
                format!("{:.2} %", c.agreement_soft * 100.0),
                format!("{:.3}", c.kappa_soft),
                format!("{:.3} ({:.3})", c.ari, c.ari_min),
                format!("{:.3}", c.ami),
            ]
        })
        .collect();
    let head = [
        "K",
        "weights of blocks",
        "agreement, shares",
        "agreement, soft",
        "kappa, soft",
        "ARI between seeds (smallest)",
        "landmark AMI",
    ];
    Ok(lines(
        "Agreement with the network, fold for choices",
        "clusters K",
        "agreement, soft",
        &series(|c| c.agreement_soft),
    )? + &lines("Landmarks", "clusters K", "AMI, LUDB lead II", &series(|c| c.ami))?
        + &lines("Stability between seeds", "clusters K", "ARI", &series(|c| c.ari))?
        + &table(&head, &rows))
}

fn entropy_section(parts: &Parts) -> Result<String, WorkshopError> {
    let e = &parts.errors;
    let holds_zero = e.gain.low <= 0.0;
    let said = if holds_zero {
        "The interval of what entropy adds holds 0: entropy is not a probability of an error and is not sold as one."
    } else {
        "Entropy adds something to the network's own uncertainty; the gain is as small as it says."
    };
    let classes: Vec<Vec<String>> = parts
        .classes
        .iter()
        .map(|(c, v)| {
            vec![c.clone(), v.records.to_string(), format!("{:.3}", v.mean), format!("{:.3}", v.sd)]
        })
        .collect();
    let rows = [
        ("entropy", e.entropy),
        ("novelty", e.novelty),
        ("the network's own uncertainty", e.own),
        ("own uncertainty and margin, out of fold", e.own_model),
        ("the same with entropy and novelty", e.with_entropy),
        ("what entropy and novelty add", e.gain),
    ]
    .map(|(what, i)| vec![what.to_owned(), interval(i)]);
    let mut html = table(&["class alone", "records", "mean entropy", "SD"], &classes)
        + &format!("<p>Any of five labels wrong: {:.1} % of records. AUROC for it:</p>", e.wrong * 100.0)
        + &table(&["", "AUROC (95 % interval over patients)"], &rows)
        + &format!("<p>{said}</p>");
    let mut kinds: Vec<&str> =
        parts.noise.iter().filter(|d| d.snr_db.is_some()).map(|d| d.noise.as_str()).collect();
    kinds.dedup();
    let series = |of: fn(&crate::workshop::evaluate::Dose) -> f64| -> Vec<Series> {
        let points = |kind: &&str| {
            parts
                .noise
                .iter()
                .filter(|d| d.noise == *kind)
                .filter_map(|d| Some((-d.snr_db?, of(d))))
                .collect()
        };
        kinds.iter().map(|kind| Series { name: (*kind).into(), points: points(kind) }).collect()
    };
    if !kinds.is_empty() {
        html += &lines("Entropy under noise", "noise to signal, dB", "mean entropy", &series(|d| d.entropy))?;
        html += &lines(
            "The network under noise",
            "noise to signal, dB",
            "macro AUROC",
            &series(|d| d.auroc_macro),
        )?;
    }
    Ok(html)
}

fn attribution_section(parts: &Parts) -> String {
    let number = |v: f64| format!("{v:.3}");
    let rows: Vec<Vec<String>> = METHODS
        .iter()
        .filter_map(|name| {
            let m = parts.attribution.get(*name)?;
            let stable = m.stability.values();
            let [low, high] =
                [stable.clone().copied().fold(1.0, f64::min), stable.copied().fold(-1.0, f64::max)];
            Some(vec![
                name.replace('_', " "),
                format!("{:.2}", m.ms),
                number(m.deletion),
                number(m.insertion),
                m.retrained.map_or_else(|| "–".into(), number),
                number(m.randomised),
                format!("{low:.2} to {high:.2}"),
            ])
        })
        .collect();
    let head = [
        "method",
        "ms a record",
        "logit lost by deletion",
        "logit given back by insertion",
        "same map after re-training",
        "same map with random weights (0 is good)",
        "stability under noise, by class",
    ];
    let best = |of: fn(&crate::workshop::evaluate::Method) -> f64| {
        parts
            .attribution
            .iter()
            .max_by(|a, b| of(a.1).total_cmp(&of(b.1)))
            .map_or("none", |m| m.0)
            .replace('_', " ")
    };
    table(&head, &rows)
        + &format!(
            "<p>Most faithful by deletion: {}; by insertion: {}; most alike after re-training: {}.</p>",
            best(|m| m.deletion),
            best(|m| m.insertion),
            best(|m| m.retrained.unwrap_or(-1.0))
        )
}

fn rest(parts: &Parts) -> String {
    let mut html = String::new();
    if let Some(f) = parts.flips {
        let rows = [
            ("posterior over the set of labels (wardbeat audit)", f.precision_at_200),
            ("the network's probability against the label", f.own_probability),
            ("confident learning on mean activations", f.confident_learning),
            ("entropy alone", f.entropy),
        ]
        .map(|(what, p)| vec![what.to_owned(), format!("{p:.3}")]);
        let _ = write!(
            html,
            "<h2>Labels flipped on purpose</h2><p>{} records of folds 9 and 10, 10 % of entries flipped, five draws (lowest {:.3}); the share of flips was estimated as {:.3}.</p>{}",
            f.records,
            f.lowest,
            f.rate,
            table(&["ranking", "precision at 200"], &rows)
        );
    }
    if let Some(a) = parts.age {
        let rows = [
            ("mean activations", a.mae, Some(a.r)),
            ("cluster proportions", a.mae_clusters, Some(a.r_clusters)),
            ("always the mean age", a.mae_nothing, None),
        ]
        .map(|(what, mae, r)| {
            let years = format!("{:.2} ({:.2} to {:.2})", mae.value, mae.low, mae.high);
            vec![what.to_owned(), years, r.map_or_else(|| "–".into(), interval)]
        });
        let _ = write!(
            html,
            "<h2>Age</h2><p>{} records with a known age; ridge regression, the network was not trained for it.</p>{}",
            a.records,
            table(&["from", "mean absolute error, years", "correlation"], &rows)
        );
    }
    html
}

/// The page.
///
/// # Errors
/// [`WorkshopError::Plot`] if a plot cannot be drawn.
pub fn page(parts: &Parts) -> Result<String, WorkshopError> {
    let by_fold = |name: &str, of: &dyn Fn(&crate::workshop::evaluate::Judged) -> f64| Series {
        name: name.into(),
        points: parts.folds.iter().map(|j| (f64::from(j.figures.fold), of(j))).collect(),
    };
    let folds = lines(
        "Macro AUROC from scores, by test fold",
        "test fold",
        "macro AUROC",
        &[
            by_fold("twelve leads", &|j| j.figures.auroc_macro),
            by_fold("lead II", &|j| j.figures.leads["II"].auroc_macro),
        ],
    )?;
    let n = parts.folds.len();
    let caution = if n < 10 {
        format!("<p class=no><b>{n} of 10 folds judged so far: every mean over folds is preliminary.</b></p>")
    } else {
        String::new()
    };
    let pairs = parts.ari_folds.len().max(1) as f64;
    let ari_folds = parts.ari_folds.iter().sum::<f64>() / pairs;
    Ok(format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Wardbeat on PTB-XL</title><style>{STYLE}</style>\n\
         <h1>Wardbeat on PTB-XL</h1>\n<p>Bundle {} · {}. Mean ± standard deviation over {n} test folds by PTB-XL's strat_fold (fold k judged, \
         k + 1 for choices, the rest trained on); intervals are 95 % by bootstrap over patients. Research figures: Wardbeat diagnoses nothing.</p>{caution}\n\
         <h2>What was promised</h2>{}\n<h2>What failed</h2>{}\n<h2>The network</h2>{folds}{}\n<p>The turn that judges fold 9 trains on the same folds as the shipped network and takes fold 10 for its choices: fold 10's \
         AUROC was on the screen while it trained. Recipe, clusters and thresholds of the shipped bundle were chosen on fold 9.</p>\n\
         <h2>Do clusters follow the network?</h2><h3>Thresholds of 0.5, most likely the paper's</h3>{}\n\
         <h3>Thresholds of the best kappa on the fold for choices</h3>{}\n\
         <h2>Do clusters fall on waves?</h2>{}\n<h2>Which clusters</h2>{}<p>Letters of different folds' networks and codebooks agree with a mean ARI of {ari_folds:.3}: \
         letters are not portable between bundles.</p>\n<h2>What entropy is worth</h2>{}\n<h2>Beside other explanations</h2>{}\n{}</html>\n",
        parts.model,
        parts.training,
        page_table(parts),
        page_list(parts),
        leads(parts),
        followers(parts, HALF),
        followers(parts, CHOSEN),
        landmark_section(parts),
        choice_section(parts)?,
        entropy_section(parts)?,
        attribution_section(parts),
        rest(parts)
    ))
}
