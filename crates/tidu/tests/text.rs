//! Graphs as text: what they look like, and that they read back as they were.

use std::collections::HashMap;
use std::sync::Arc;

use insta::assert_snapshot;
use tidu::graph::text::parse;
use tidu::graph::{Graph, compile, materialize_merge, resolve};
use tidu::scalar::{ScalarKey, ScalarOp};
use tidu::{linear_transpose, linearize};

fn graph(text: &str) -> Arc<Graph<ScalarOp>> {
    Arc::new(text.parse().unwrap())
}

const X_EXP_Y: &str = "
    graph {
        input %0 = x
        input %1 = y
        %2 = exp %1
        %3 = mul %0, %2
        output %3
    }";

#[test]
fn primal_linear_and_transposed_graphs_print_one_item_a_line() {
    let primal = graph(X_EXP_Y);
    let f = primal.values()[3].key.clone();
    let view = resolve(vec![primal.clone()]);
    let wrt = [ScalarKey::from("x"), ScalarKey::from("y")];
    let linear = linearize(
        &view,
        std::slice::from_ref(&f),
        &wrt,
        1,
        &mut (),
        &HashMap::new(),
    );
    let transposed = linear_transpose(&linear, &mut ());
    let flat = materialize_merge(&resolve(vec![primal.clone()]), &[f]);
    let program = compile(&flat);
    assert_snapshot!(format!("{primal}\n{linear}\n{transposed}\n{flat}\n{program}"), @"
    graph {
        input %0 = x
        input %1 = y
        %2 = exp %1
        %3 = mul %0, %2
        output %3
    }
    linear {
        residual @0 = exp @y
        residual @x
        input %0 = d1.x
        input %1 = d1.y
        %2 = mul @0, ~%1
        %3 = mul ~%0, @0
        %4 = mul @x, ~%2
        %5 = add ~%3, ~%4
        output %5 -> d.out0
    }
    linear {
        residual @x
        residual @0 = exp @y
        input %0 = ct0.d1.x
        %1 = mul @x, ~%0
        %2 = mul @0, ~%0
        %3 = mul @0, ~%1
        output %2 -> x
        output %3 -> y
    }
    flat {
        input %0 = x
        input %1 = y
        %2 = exp %1
        %3 = mul %0, %2
        output %3
    }
    program {
        input s0
        input s1
        s2 = exp s1
        s2 = mul s0, s2
        output s2
    }
    ");
}

#[test]
fn text_reads_back() {
    let primal = graph(X_EXP_Y);
    assert_eq!(primal.to_string(), graph(&primal.to_string()).to_string());
    let parsed = parse::<ScalarOp>(
        "linear {\n input %0 = d1.x\n output zero -> x\n}",
        &["linear"],
    );
    assert_eq!(parsed.unwrap().outputs.len(), 1);
}
