//! Draws a function, its linear map and the transpose of that, as Graphviz, Mermaid and SVG files.
//!
//! `cargo xtask draw x_exp_y` calls this; `cargo xtask draw --help` lists what there is.

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Write;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;

use lexopt::{Arg, Parser, ValueExt};
use tidu::graph::{Graph, GraphKind, Picture, ValueKey, resolve};
use tidu::scalar::{ScalarKey, ScalarOp};
use tidu::{try_linear_transpose, try_linearize};

/// What `--help` prints.
pub const USAGE: &str = "\
Draws a function, its linear map and the transpose of that.

Usage: cargo xtask draw <CASE> [OPTIONS]

Cases:
  product       x·y
  x_exp_y       x·exp(y)
  sin_cos       sin x·cos x, from one operation with two results
  second_order  x·x·x, its gradient, and the linear map of that
  chain         2000 operations, one after another

Options:
  --around NAME,NAME  draw only what is near nodes of these names (`mul`, `%3`, `x`)
  --radius N          how near, in edges [default: 2]
  --out DIR           where to put the files [default: target/pictures]
  -h, --help          print this text

Writes CASE.dot, CASE.mmd (Mermaid) and, where Graphviz is installed, CASE.svg.
";

/// What to draw and where to put it.
#[derive(Debug, PartialEq)]
pub struct Request {
    /// The name of the function.
    pub case: String,
    /// Names of nodes, and how many edges around them are drawn.
    pub around: Option<(Vec<String>, usize)>,
    /// The folder.
    pub out: PathBuf,
}

/// The functions that can be drawn, as text.
fn primal_text(case: &str) -> Option<String> {
    let body = match case {
        "product" => "input %0 = x\n input %1 = y\n %2 = mul %0, %1\n output %2".to_owned(),
        "x_exp_y" => {
            "input %0 = x\n input %1 = y\n %2 = exp %1\n %3 = mul %0, %2\n output %3".to_owned()
        }
        "sin_cos" => "input %0 = x\n %1, %2 = sin_cos %0\n %3 = mul %1, %2\n output %3".to_owned(),
        "second_order" => "input %0 = x\n %1 = mul %0, %0\n %2 = mul %1, %0\n output %2".to_owned(),
        "chain" => chain(2000),
        _ => return None,
    };
    Some(format!("graph {{\n{body}\n}}"))
}

/// sin sin … sin x.
fn chain(length: usize) -> String {
    let mut body = "input %0 = x".to_owned();
    for id in 1..=length {
        let operand = id - 1;
        write!(body, "\n%{id} = sin %{operand}").expect("writing to a string does not fail");
    }
    body + &format!("\noutput %{length}")
}

/// A function and what is derived from it, a cluster each; `None` for an unknown name.
pub fn picture(case: &str) -> Result<Option<Picture>, Box<dyn Error>> {
    let Some(text) = primal_text(case) else {
        return Ok(None);
    };
    let primal: Graph<ScalarOp> = text.parse()?;
    let wrt = input_keys(&primal);
    let linearize = |graph: &Graph<ScalarOp>, pass| {
        let view = resolve(vec![Arc::new(graph.clone())]);
        let outputs = output_keys(graph);
        try_linearize(&view, &outputs, &wrt, pass, &mut (), &HashMap::new())
    };
    let linear = linearize(&primal, 1)?;
    let transposed = try_linear_transpose(&linear, &mut ())?;
    let mut graphs = vec![
        ("primal", GraphKind::Primal, primal),
        ("linear", GraphKind::Linear, linear.into_graph()),
        (
            "transposed",
            GraphKind::Transposed,
            transposed.as_graph().clone(),
        ),
    ];
    if case == "second_order" {
        let second = linearize(transposed.as_graph(), 2)?;
        graphs.push((
            "linear, of the gradient",
            GraphKind::Linear,
            second.into_graph(),
        ));
    }
    let graphs = graphs.iter();
    let graphs: Vec<_> = graphs
        .map(|(title, kind, graph)| (*title, *kind, graph))
        .collect();
    Ok(Some(Picture::of_graphs(&graphs)))
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let request = match parse(Parser::from_env()) {
        Ok(Some(request)) => request,
        Ok(None) => {
            print!("{USAGE}");
            return Ok(ExitCode::SUCCESS);
        }
        Err(error) => {
            eprint!("error: {error}\n\n{USAGE}");
            return Ok(ExitCode::from(2));
        }
    };
    let Some(picture) = picture(&request.case)? else {
        eprint!("error: there is no case `{}`\n\n{USAGE}", request.case);
        return Ok(ExitCode::from(2));
    };
    let picture = match &request.around {
        None => picture,
        Some((names, radius)) => {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            picture.around(&names, *radius)
        }
    };
    std::fs::create_dir_all(&request.out)?;
    write_files(&picture, &request.out.join(&request.case))?;
    Ok(ExitCode::SUCCESS)
}

/// `None` if help is asked for.
pub fn parse(mut arguments: Parser) -> Result<Option<Request>, lexopt::Error> {
    let mut case = None;
    let mut names: Option<Vec<String>> = None;
    let mut radius = None;
    let mut out = None;
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Long("around") => {
                let list = arguments.value()?.string()?;
                names = Some(list.split(',').map(str::to_owned).collect());
            }
            Arg::Long("radius") => radius = Some(arguments.value()?.parse()?),
            Arg::Long("out") => out = Some(PathBuf::from(arguments.value()?)),
            Arg::Value(word) if case.is_none() => case = Some(word.string()?),
            other => return Err(other.unexpected()),
        }
    }
    if radius.is_some() && names.is_none() {
        return Err("`--radius` says how near to the nodes of `--around`, which is missing".into());
    }
    Ok(Some(Request {
        case: case.ok_or("no case given")?,
        around: names.map(|names| (names, radius.unwrap_or(2))),
        out: out.unwrap_or_else(|| workspace().join("target/pictures")),
    }))
}

/// Writes `stem` with each of the endings.
fn write_files(picture: &Picture, stem: &Path) -> Result<(), Box<dyn Error>> {
    let [dot, mermaid, svg] = ["dot", "mmd", "svg"].map(|ending| stem.with_extension(ending));
    std::fs::write(&dot, picture.to_dot())?;
    println!("{}", dot.display());
    std::fs::write(&mermaid, picture.to_mermaid())?;
    println!("{}", mermaid.display());
    let mut layout = Command::new("dot");
    match layout.arg("-Tsvg").arg("-o").arg(&svg).arg(&dot).status() {
        Ok(status) if status.success() => println!("{}", svg.display()),
        Ok(status) => return Err(format!("`dot -Tsvg` failed: {status}").into()),
        Err(error) if error.kind() == ErrorKind::NotFound => println!(
            "no {}: Graphviz's `dot` is not installed (https://graphviz.org/download)",
            svg.display()
        ),
        Err(error) => return Err(format!("cannot run `dot`: {error}").into()),
    }
    Ok(())
}

fn input_keys(graph: &Graph<ScalarOp>) -> Vec<ScalarKey> {
    let keys = graph.inputs().iter().map(|&id| &graph.values()[id].key);
    keys.filter_map(|key| match key {
        ValueKey::Input(key) => Some(key.clone()),
        ValueKey::Derived { .. } => None,
    })
    .collect()
}

fn output_keys(graph: &Graph<ScalarOp>) -> Vec<ValueKey<ScalarOp>> {
    let outputs = graph.outputs().iter();
    outputs.map(|&id| graph.values()[id].key.clone()).collect()
}

fn workspace() -> &'static Path {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR"));
    examples.parent().expect("`examples` is in the workspace")
}
