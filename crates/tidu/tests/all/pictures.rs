//! Graphs as pictures, in the languages of Graphviz and Mermaid.

use std::fmt;

use insta::assert_snapshot;
use tidu::eager::RecordedGraph;
use tidu::graph::{
    DenseGraph, Graph, GraphBuilder, GraphKind, GraphOperation, OperationRole, Picture, ValueRef,
    compile, materialize_merge, with_parents,
};
use tidu::scalar::{ScalarKey, ScalarOp};

use crate::support::{AWKWARD_NAMES, Problem, Random, Sketch, wild_functions, wild_problem};

/// x·eʸ
fn product_with_exponential() -> Problem<ScalarOp> {
    let (mut f, [x, y]) = Sketch::new(["x", "y"]);
    let e = f.apply(ScalarOp::Exp, [y]);
    let product = f.apply(ScalarOp::Mul, [x, e]);
    let mut problem = f.returning([product]).at(&[2.0, 0.0]);
    // The sketch's graph has no outputs of its own.
    let text = problem.roots[0]
        .to_string()
        .replace('}', "    output %3\n}");
    problem.roots = vec![std::sync::Arc::new(text.parse().unwrap())];
    problem
}

#[test]
fn a_primal_graph() {
    let picture = Picture::of_graph(&product_with_exponential().roots[0]);
    assert_snapshot!(picture.to_dot(), @r##"
    digraph {
        rankdir=TB; labelloc=t; labeljust=l;
        node [fontname="monospace", style=filled];
        edge [fontname="monospace"];
        subgraph cluster_0 {
            label="graph";
            n0 [label="x", shape=ellipse, fillcolor="#ffffff"];
            n1 [label="y", shape=ellipse, fillcolor="#ffffff"];
            n2 [label="exp\n%2", shape=box, fillcolor="#dbe9f6"];
            n3 [label="mul\n%3", shape=box, fillcolor="#dbe9f6"];
            n4 [label="%3", shape=ellipse, peripheries=2, fillcolor="#ffffff"];
        }
        n1 -> n2 [style=solid];
        n0 -> n3 [style=solid];
        n2 -> n3 [style=solid];
        n3 -> n4 [style=solid];
    }
    "##);
    assert_snapshot!(picture.to_mermaid(), @r#"
    flowchart TB
        subgraph c0["graph"]
            n0(["x"])
            style n0 fill:#ffffff,color:#000000
            n1(["y"])
            style n1 fill:#ffffff,color:#000000
            n2["exp<br>%2"]
            style n2 fill:#dbe9f6,color:#000000
            n3["mul<br>%3"]
            style n3 fill:#dbe9f6,color:#000000
            n4(("%3"))
            style n4 fill:#ffffff,color:#000000
        end
        n1 --> n2
        n0 --> n3
        n2 --> n3
        n3 --> n4
    "#);
}

#[test]
fn a_linear_map() {
    let picture = product_with_exponential().linearize().picture();
    assert_snapshot!(picture.to_dot(), @r##"
    digraph {
        rankdir=TB; labelloc=t; labeljust=l;
        node [fontname="monospace", style=filled];
        edge [fontname="monospace"];
        subgraph cluster_0 {
            label="primal";
            n0 [label="x", shape=ellipse, fillcolor="#ffffff"];
            n1 [label="y", shape=ellipse, fillcolor="#ffffff"];
            n2 [label="exp\n%2", shape=box, fillcolor="#dbe9f6"];
            n3 [label="mul\n%3", shape=box, fillcolor="#dbe9f6"];
            n4 [label="%3", shape=ellipse, peripheries=2, fillcolor="#ffffff"];
        }
        subgraph cluster_1 {
            label="linear";
            n5 [label="d1.x", shape=ellipse, fillcolor="#ffffff"];
            n6 [label="d1.y", shape=ellipse, fillcolor="#ffffff"];
            n7 [label="mul\n%2", shape=box, fillcolor="#d9f0d3"];
            n8 [label="exp\n@0", shape=note, fillcolor="#eeeeee"];
            n9 [label="mul\n%3", shape=box, fillcolor="#d9f0d3"];
            n10 [label="mul\n%4", shape=box, fillcolor="#d9f0d3"];
            n11 [label="@x", shape=note, fillcolor="#eeeeee"];
            n12 [label="add\n%5", shape=box, fillcolor="#d9f0d3"];
            n13 [label="%5", shape=ellipse, peripheries=2, fillcolor="#ffffff"];
            { rank=same; n8; n11; }
            n8 -> n5 [style=invis];
            n8 -> n6 [style=invis];
        }
        n1 -> n2 [style=solid];
        n0 -> n3 [style=solid];
        n2 -> n3 [style=solid];
        n3 -> n4 [style=solid];
        n8 -> n7 [style=solid];
        n6 -> n7 [style=bold, penwidth=2.5];
        n5 -> n9 [style=bold, penwidth=2.5];
        n8 -> n9 [style=solid];
        n11 -> n10 [style=solid];
        n7 -> n10 [style=bold, penwidth=2.5];
        n9 -> n12 [style=bold, penwidth=2.5];
        n10 -> n12 [style=bold, penwidth=2.5];
        n12 -> n13 [style=solid];
        n2 -> n8 [style=dashed, color=gray50];
        n0 -> n11 [style=dashed, color=gray50];
    }
    "##);
    assert_snapshot!(picture.to_mermaid(), @r#"
    flowchart TB
        subgraph c0["primal"]
            n0(["x"])
            style n0 fill:#ffffff,color:#000000
            n1(["y"])
            style n1 fill:#ffffff,color:#000000
            n2["exp<br>%2"]
            style n2 fill:#dbe9f6,color:#000000
            n3["mul<br>%3"]
            style n3 fill:#dbe9f6,color:#000000
            n4(("%3"))
            style n4 fill:#ffffff,color:#000000
        end
        subgraph c1["linear"]
            n5(["d1.x"])
            style n5 fill:#ffffff,color:#000000
            n6(["d1.y"])
            style n6 fill:#ffffff,color:#000000
            n7["mul<br>%2"]
            style n7 fill:#d9f0d3,color:#000000
            n8[/"exp<br>@0"/]
            style n8 fill:#eeeeee,color:#000000
            n9["mul<br>%3"]
            style n9 fill:#d9f0d3,color:#000000
            n10["mul<br>%4"]
            style n10 fill:#d9f0d3,color:#000000
            n11[/"@x"/]
            style n11 fill:#eeeeee,color:#000000
            n12["add<br>%5"]
            style n12 fill:#d9f0d3,color:#000000
            n13(("%5"))
            style n13 fill:#ffffff,color:#000000
        end
        n1 --> n2
        n0 --> n3
        n2 --> n3
        n3 --> n4
        n8 --> n7
        n6 ==> n7
        n5 ==> n9
        n8 --> n9
        n11 --> n10
        n7 ==> n10
        n9 ==> n12
        n10 ==> n12
        n12 --> n13
        n2 -.-> n8
        n0 -.-> n11
    "#);
}

#[test]
fn a_transposed_map() {
    let problem = product_with_exponential();
    let picture = problem.transpose(&problem.linearize()).picture();
    assert_snapshot!(picture.to_dot(), @r##"
    digraph {
        rankdir=TB; labelloc=t; labeljust=l;
        node [fontname="monospace", style=filled];
        edge [fontname="monospace"];
        subgraph cluster_0 {
            label="primal";
            n0 [label="x", shape=ellipse, fillcolor="#ffffff"];
            n1 [label="y", shape=ellipse, fillcolor="#ffffff"];
            n2 [label="exp\n%2", shape=box, fillcolor="#dbe9f6"];
            n3 [label="mul\n%3", shape=box, fillcolor="#dbe9f6"];
            n4 [label="%3", shape=ellipse, peripheries=2, fillcolor="#ffffff"];
        }
        subgraph cluster_1 {
            label="linear";
            n5 [label="d1.x", shape=ellipse, fillcolor="#ffffff"];
            n6 [label="d1.y", shape=ellipse, fillcolor="#ffffff"];
            n7 [label="mul\n%2", shape=box, fillcolor="#d9f0d3"];
            n8 [label="exp\n@0", shape=note, fillcolor="#eeeeee"];
            n9 [label="mul\n%3", shape=box, fillcolor="#d9f0d3"];
            n10 [label="mul\n%4", shape=box, fillcolor="#d9f0d3"];
            n11 [label="@x", shape=note, fillcolor="#eeeeee"];
            n12 [label="add\n%5", shape=box, fillcolor="#d9f0d3"];
            n13 [label="%5", shape=ellipse, peripheries=2, fillcolor="#ffffff"];
            { rank=same; n8; n11; }
            n8 -> n5 [style=invis];
            n8 -> n6 [style=invis];
        }
        subgraph cluster_2 {
            label="transposed";
            n14 [label="ct0.d1.x", shape=ellipse, fillcolor="#ffffff"];
            n15 [label="mul\n%1", shape=box, fillcolor="#fde0c5"];
            n16 [label="@x", shape=note, fillcolor="#eeeeee"];
            n17 [label="mul\n%2", shape=box, fillcolor="#fde0c5"];
            n18 [label="exp\n@0", shape=note, fillcolor="#eeeeee"];
            n19 [label="mul\n%3", shape=box, fillcolor="#fde0c5"];
            n20 [label="%2", shape=ellipse, peripheries=2, fillcolor="#ffffff"];
            n21 [label="%3", shape=ellipse, peripheries=2, fillcolor="#ffffff"];
            { rank=same; n16; n18; }
            n16 -> n14 [style=invis];
        }
        n1 -> n2 [style=solid];
        n0 -> n3 [style=solid];
        n2 -> n3 [style=solid];
        n3 -> n4 [style=solid];
        n8 -> n7 [style=solid];
        n6 -> n7 [style=bold, penwidth=2.5];
        n5 -> n9 [style=bold, penwidth=2.5];
        n8 -> n9 [style=solid];
        n11 -> n10 [style=solid];
        n7 -> n10 [style=bold, penwidth=2.5];
        n9 -> n12 [style=bold, penwidth=2.5];
        n10 -> n12 [style=bold, penwidth=2.5];
        n12 -> n13 [style=solid];
        n16 -> n15 [style=solid];
        n14 -> n15 [style=bold, penwidth=2.5];
        n18 -> n17 [style=solid];
        n14 -> n17 [style=bold, penwidth=2.5];
        n18 -> n19 [style=solid];
        n15 -> n19 [style=bold, penwidth=2.5];
        n17 -> n20 [style=solid];
        n19 -> n21 [style=solid];
        n2 -> n8 [style=dashed, color=gray50];
        n0 -> n11 [style=dashed, color=gray50];
        n0 -> n16 [style=dashed, color=gray50];
        n2 -> n18 [style=dashed, color=gray50];
    }
    "##);
    assert_snapshot!(picture.to_mermaid(), @r#"
    flowchart TB
        subgraph c0["primal"]
            n0(["x"])
            style n0 fill:#ffffff,color:#000000
            n1(["y"])
            style n1 fill:#ffffff,color:#000000
            n2["exp<br>%2"]
            style n2 fill:#dbe9f6,color:#000000
            n3["mul<br>%3"]
            style n3 fill:#dbe9f6,color:#000000
            n4(("%3"))
            style n4 fill:#ffffff,color:#000000
        end
        subgraph c1["linear"]
            n5(["d1.x"])
            style n5 fill:#ffffff,color:#000000
            n6(["d1.y"])
            style n6 fill:#ffffff,color:#000000
            n7["mul<br>%2"]
            style n7 fill:#d9f0d3,color:#000000
            n8[/"exp<br>@0"/]
            style n8 fill:#eeeeee,color:#000000
            n9["mul<br>%3"]
            style n9 fill:#d9f0d3,color:#000000
            n10["mul<br>%4"]
            style n10 fill:#d9f0d3,color:#000000
            n11[/"@x"/]
            style n11 fill:#eeeeee,color:#000000
            n12["add<br>%5"]
            style n12 fill:#d9f0d3,color:#000000
            n13(("%5"))
            style n13 fill:#ffffff,color:#000000
        end
        subgraph c2["transposed"]
            n14(["ct0.d1.x"])
            style n14 fill:#ffffff,color:#000000
            n15["mul<br>%1"]
            style n15 fill:#fde0c5,color:#000000
            n16[/"@x"/]
            style n16 fill:#eeeeee,color:#000000
            n17["mul<br>%2"]
            style n17 fill:#fde0c5,color:#000000
            n18[/"exp<br>@0"/]
            style n18 fill:#eeeeee,color:#000000
            n19["mul<br>%3"]
            style n19 fill:#fde0c5,color:#000000
            n20(("%2"))
            style n20 fill:#ffffff,color:#000000
            n21(("%3"))
            style n21 fill:#ffffff,color:#000000
        end
        n1 --> n2
        n0 --> n3
        n2 --> n3
        n3 --> n4
        n8 --> n7
        n6 ==> n7
        n5 ==> n9
        n8 --> n9
        n11 --> n10
        n7 ==> n10
        n9 ==> n12
        n10 ==> n12
        n12 --> n13
        n16 --> n15
        n14 ==> n15
        n18 --> n17
        n14 ==> n17
        n18 --> n19
        n15 ==> n19
        n17 --> n20
        n19 --> n21
        n2 -.-> n8
        n0 -.-> n11
        n0 -.-> n16
        n2 -.-> n18
    "#);
}

/// sin x, cos x: the second result of an operation is named on its edges.
#[test]
fn a_flat_graph_and_its_program() {
    let (mut f, [x]) = Sketch::<ScalarOp>::new(["x"]);
    let s = f.apply(ScalarOp::SinCos, [x]);
    let problem = f.returning([s, s + 1]).at(&[0.5]).forward(&[1.0]);
    let outputs: Vec<_> = problem.outputs.iter().flatten().cloned().collect();
    let flat = materialize_merge(&problem.view(), &outputs);
    assert_snapshot!(Picture::of_flat(&flat).to_dot(), @r##"
    digraph {
        rankdir=TB; labelloc=t; labeljust=l;
        node [fontname="monospace", style=filled];
        edge [fontname="monospace"];
        subgraph cluster_0 {
            label="primal";
            n0 [label="x", shape=ellipse, fillcolor="#ffffff"];
            n1 [label="d1.x", shape=ellipse, fillcolor="#ffffff"];
            n2 [label="sin_cos\n%2, %3", shape=box, fillcolor="#dbe9f6"];
            n6 [label="%4", shape=ellipse, peripheries=2, fillcolor="#ffffff"];
            n7 [label="%6", shape=ellipse, peripheries=2, fillcolor="#ffffff"];
        }
        subgraph cluster_1 {
            label="linearized";
            n3 [label="mul\n%4", shape=box, fillcolor="#d9f0d3"];
            n4 [label="mul\n%5", shape=box, fillcolor="#d9f0d3"];
            n5 [label="neg\n%6", shape=box, fillcolor="#d9f0d3"];
        }
        n0 -> n2 [style=solid];
        n2 -> n3 [style=solid, label=".1"];
        n1 -> n3 [style=bold, penwidth=2.5];
        n2 -> n4 [style=solid];
        n1 -> n4 [style=bold, penwidth=2.5];
        n4 -> n5 [style=bold, penwidth=2.5];
        n3 -> n6 [style=solid];
        n5 -> n7 [style=solid];
    }
    "##);
    assert_snapshot!(Picture::of_program(&compile(&flat)).to_mermaid(), @r#"
    flowchart TB
        subgraph c0["program"]
            n0(["s0"])
            style n0 fill:#ffffff,color:#000000
            n1(["s1"])
            style n1 fill:#ffffff,color:#000000
            n2["sin_cos<br>s2, s3"]
            style n2 fill:#dbe9f6,color:#000000
            n3["mul<br>s3"]
            style n3 fill:#dbe9f6,color:#000000
            n4["mul<br>s2"]
            style n4 fill:#dbe9f6,color:#000000
            n5["neg<br>s2"]
            style n5 fill:#dbe9f6,color:#000000
            n6(("s3"))
            style n6 fill:#ffffff,color:#000000
            n7(("s2"))
            style n7 fill:#ffffff,color:#000000
        end
        n0 --> n2
        n2 -->|".1"| n3
        n1 --> n3
        n2 --> n4
        n1 --> n4
        n4 --> n5
        n3 --> n6
        n5 --> n7
    "#);
}

#[test]
fn a_graph_by_positions() {
    let text = "dense {
        input %0
        input %1
        %2, %3 = sin_cos %0
        %4 = mul %3, %3
        output %4
        output %1
    }";
    let graph: DenseGraph<ScalarOp> = text.parse().unwrap();
    assert_snapshot!(Picture::of_dense(&graph).to_mermaid(), @r#"
    flowchart TB
        subgraph c0["dense"]
            n0(["%0"])
            style n0 fill:#ffffff,color:#000000
            n1(["%1"])
            style n1 fill:#ffffff,color:#000000
            n2["sin_cos<br>%2, %3"]
            style n2 fill:#dbe9f6,color:#000000
            n3["mul<br>%4"]
            style n3 fill:#dbe9f6,color:#000000
            n4(("%4"))
            style n4 fill:#ffffff,color:#000000
            n5(("%1"))
            style n5 fill:#ffffff,color:#000000
        end
        n0 --> n2
        n2 -->|".1"| n3
        n2 -->|".1"| n3
        n3 --> n4
        n1 --> n5
    "#);
    let named = Picture::of_dense_named("f", &graph, ["two words".into(), "y".into()]);
    assert_snapshot!(named.to_dot(), @r##"
    digraph {
        rankdir=TB; labelloc=t; labeljust=l;
        node [fontname="monospace", style=filled];
        edge [fontname="monospace"];
        subgraph cluster_0 {
            label="f";
            n0 [label="two words", shape=ellipse, fillcolor="#ffffff"];
            n1 [label="y", shape=ellipse, fillcolor="#ffffff"];
            n2 [label="sin_cos\n%2, %3", shape=box, fillcolor="#dbe9f6"];
            n3 [label="mul\n%4", shape=box, fillcolor="#dbe9f6"];
            n4 [label="%4", shape=ellipse, peripheries=2, fillcolor="#ffffff"];
            n5 [label="%1", shape=ellipse, peripheries=2, fillcolor="#ffffff"];
        }
        n0 -> n2 [style=solid];
        n2 -> n3 [style=solid, label=".1"];
        n2 -> n3 [style=solid, label=".1"];
        n3 -> n4 [style=solid];
        n1 -> n5 [style=solid];
    }
    "##);
}

/// Without keys, it is the picture of the graph with keys.
#[test]
fn pictures_of_functions_are_those_of_their_graphs() {
    let mut random = Random(7);
    for _ in 0..100 {
        for f in wild_functions(&mut random) {
            let graph = Picture::of_graphs(&[("function", GraphKind::Primal, f.as_graph())]);
            assert_eq!(f.picture().to_dot(), graph.to_dot());
        }
    }
}

#[test]
fn a_recorded_graph() {
    let keys = vec!["x".into(), "y".into()];
    let recorded = RecordedGraph::from_primitive(ScalarOp::Sub, keys);
    assert_snapshot!(recorded.picture().to_mermaid(), @r#"
    flowchart TB
        subgraph c0["recorded"]
            n0(["x"])
            style n0 fill:#ffffff,color:#000000
            n1(["y"])
            style n1 fill:#ffffff,color:#000000
            n2["sub<br>%2"]
            style n2 fill:#dbe9f6,color:#000000
            n3(("%2"))
            style n3 fill:#ffffff,color:#000000
        end
        n0 --> n2
        n1 --> n2
        n2 --> n3
    "#);
}

#[test]
fn an_empty_graph() {
    let picture = Picture::of_graph(&GraphBuilder::<ScalarOp>::new().build());
    assert_snapshot!(picture.to_dot(), @r#"
    digraph {
        rankdir=TB; labelloc=t; labeljust=l;
        node [fontname="monospace", style=filled];
        edge [fontname="monospace"];
        subgraph cluster_0 {
            label="graph";
        }
    }
    "#);
    assert_snapshot!(picture.to_mermaid(), @r#"
    flowchart TB
        subgraph c0["graph"]
        end
    "#);
    assert_snapshot!(Picture::default().to_dot(), @r#"
    digraph {
        rankdir=TB; labelloc=t; labeljust=l;
        node [fontname="monospace", style=filled];
        edge [fontname="monospace"];
    }
    "#);
}

// Names.

/// An operation of any name, on inputs of any name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Named(&'static str);

impl GraphOperation for Named {
    type Operand = ();
    type Context = ();
    type InputKey = &'static str;

    fn input_count(&self) -> usize {
        1
    }

    fn output_count(&self) -> usize {
        1
    }

    fn fmt_name(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn fmt_input_name(key: &&'static str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(key)
    }
}

fn named(op: &'static str, input: &'static str) -> Graph<Named> {
    let mut builder = GraphBuilder::new();
    let x = ValueRef::Local(builder.add_input(input));
    let results = builder.add_operation(Named(op), vec![x], OperationRole::Primary);
    builder.set_outputs(results);
    builder.build()
}

const MARKUP: &str = "\"q\" \\ \n <b>#1;</b> &lt; `c` [d] {e} %%f %%{init: {}}%%";

#[test]
fn markup_in_names_is_escaped() {
    let graph = named(MARKUP, MARKUP);
    let picture = Picture::of_graphs(&[(MARKUP, GraphKind::Primal, &graph)]);
    assert_snapshot!(picture.to_dot(), @r##"
    digraph {
        rankdir=TB; labelloc=t; labeljust=l;
        node [fontname="monospace", style=filled];
        edge [fontname="monospace"];
        subgraph cluster_0 {
            label="\"q\" \\ \n <b>#1;</b> &amp;lt; `c` [d] {e} %%f %%{init: {}}%%";
            n0 [label="\"\\\"q\\\" \\\\ \\n <b>#1;</b> &amp;lt; `c` [d] {e} %%f %%{init: {}}%%\"", shape=ellipse, fillcolor="#ffffff"];
            n1 [label="\"\\\"q\\\" \\\\ \\n <b>#1;</b> &amp;lt; `c` [d] {e} %%f %%{init: {}}%%\"\n%1", shape=box, fillcolor="#dbe9f6"];
            n2 [label="%1", shape=ellipse, peripheries=2, fillcolor="#ffffff"];
        }
        n0 -> n1 [style=solid];
        n1 -> n2 [style=solid];
    }
    "##);
    assert_snapshot!(picture.to_mermaid(), @r##"
    flowchart TB
        subgraph c0["#34;q#34; #92; <br> #60;b#62;#35;1#59;#60;/b#62; #38;lt#59; #96;c#96; [d] {e} %#37;f %#37;{init: {}}%#37;"]
            n0(["#34;#92;#34;q#92;#34; #92;#92; #92;n #60;b#62;#35;1#59;#60;/b#62; #38;lt#59; #96;c#96; [d] {e} %#37;f %#37;{init: {}}%#37;#34;"])
            style n0 fill:#ffffff,color:#000000
            n1["#34;#92;#34;q#92;#34; #92;#92; #92;n #60;b#62;#35;1#59;#60;/b#62; #38;lt#59; #96;c#96; [d] {e} %#37;f %#37;{init: {}}%#37;#34;<br>%1"]
            style n1 fill:#dbe9f6,color:#000000
            n2(("%1"))
            style n2 fill:#ffffff,color:#000000
        end
        n0 --> n1
        n1 --> n2
    "##);
}

/// Reads a string in double quotes of either language as that language does.
fn strings(text: &str, escape: impl Fn(&str) -> (String, usize)) -> Vec<String> {
    let mut strings = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('"') {
        rest = &rest[start + 1..];
        let mut string = String::new();
        while !rest.starts_with('"') {
            let (read, length) = escape(rest);
            string += &read;
            rest = &rest[length..];
        }
        rest = &rest[1..];
        strings.push(string);
    }
    strings
}

fn char_and_length(text: &str) -> (String, usize) {
    let c = text.chars().next().expect("a string ends with a quote");
    (c.into(), c.len_utf8())
}

fn dot_escape(text: &str) -> (String, usize) {
    for (escape, meaning) in [
        ("\\\"", "\""),
        ("\\\\", "\\"),
        ("\\n", "\n"),
        ("&amp;", "&"),
    ] {
        if text.starts_with(escape) {
            return (meaning.into(), escape.len());
        }
    }
    assert!(!text.starts_with(['\\', '&']), "{text}");
    char_and_length(text)
}

fn mermaid_escape(text: &str) -> (String, usize) {
    if text.starts_with("<br>") {
        return ("\n".into(), 4);
    }
    let Some(code) = text.strip_prefix('#') else {
        return char_and_length(text);
    };
    let (code, _) = code.split_once(';').expect("a code ends with a semicolon");
    let c = char::from_u32(code.parse().unwrap()).unwrap();
    (c.into(), code.len() + 2)
}

/// What the two languages read is what was written, whatever the name.
#[test]
fn names_come_out_as_they_are() {
    let mut names = AWKWARD_NAMES.to_vec();
    names.extend([MARKUP, "&amp;", "#quot;", "a;b", "end", "<br>"]);
    for name in names {
        let graph = named(name, "x");
        let picture = Picture::of_graphs(&[(name, GraphKind::Linear, &graph)]);
        let printed = tidu::graph::text::operation_name(&Named(name));
        let title = name.replace(['\0', '\u{7}', '\r', '\t'], "\u{fffd}");
        for strings in [
            strings(&picture.to_dot(), dot_escape),
            strings(&picture.to_mermaid(), mermaid_escape),
        ] {
            assert!(strings.contains(&title), "{strings:?}");
            let label = format!("{printed}\n%1");
            assert_eq!(
                strings.iter().filter(|s| **s == label).count(),
                1,
                "{strings:?}"
            );
        }
        for text in [picture.to_dot(), picture.to_mermaid()] {
            assert!(
                text.lines()
                    .all(|line| line.starts_with(' ') || "}digraph {flowchart TB".contains(line)),
                "{text}"
            );
        }
    }
}

// Size.

/// x, exp, exp, …: `%N` is made by the Nth operation.
fn chain(operations: usize) -> Graph<ScalarOp> {
    let mut builder = GraphBuilder::new();
    let mut last = builder.add_input(ScalarKey::from("x"));
    for _ in 0..operations {
        let operand = vec![ValueRef::Local(last)];
        last = builder.add_operation(ScalarOp::Exp, operand, OperationRole::Primary)[0];
    }
    builder.set_outputs(vec![last]);
    builder.build()
}

fn count(text: &str, pattern: &str) -> usize {
    text.matches(pattern).count()
}

fn hidden_note(nodes: usize) -> String {
    format!("cut to a neighbourhood: {nodes} nodes are not shown")
}

#[test]
fn a_neighbourhood_says_how_much_is_left_out() {
    let picture = Picture::of_graph(&chain(10));
    // %4 to %6, of 12 nodes
    let around = picture.around(&["%5"], 1);
    assert_snapshot!(around.to_dot(), @r##"
    digraph {
        rankdir=TB; labelloc=t; labeljust=l;
        node [fontname="monospace", style=filled];
        edge [fontname="monospace"];
        label="cut to a neighbourhood: 9 nodes are not shown";
        subgraph cluster_0 {
            label="graph";
            n0 [label="exp\n%4", shape=box, fillcolor="#dbe9f6"];
            n1 [label="exp\n%5", shape=box, fillcolor="#dbe9f6"];
            n2 [label="exp\n%6", shape=box, fillcolor="#dbe9f6"];
        }
        n0 -> n1 [style=solid];
        n1 -> n2 [style=solid];
    }
    "##);
    assert_snapshot!(around.to_mermaid(), @r#"
    flowchart TB
        subgraph c0["graph"]
            n0["exp<br>%4"]
            style n0 fill:#dbe9f6,color:#000000
            n1["exp<br>%5"]
            style n1 fill:#dbe9f6,color:#000000
            n2["exp<br>%6"]
            style n2 fill:#dbe9f6,color:#000000
        end
        n0 --> n1
        n1 --> n2
        hidden["cut to a neighbourhood: 9 nodes are not shown"]
    "#);
    // By the name of an input, of an output, of several; cut twice
    assert_eq!(count(&picture.around(&["x"], 2).to_dot(), "label=\"exp"), 2);
    assert_eq!(count(&picture.around(&["%10"], 0).to_dot(), "%10"), 2);
    assert_eq!(
        count(&picture.around(&["exp"], 0).to_dot(), "label=\"exp"),
        10
    );
    assert_eq!(
        count(&picture.around(&["x", "%9"], 0).to_dot(), ", shape="),
        2
    );
    assert!(around.around(&["%5"], 0).to_dot().contains("11 nodes"));
    assert!(picture.around(&["%1"], 0).to_dot().contains("11 nodes"));
    let nothing = picture.around(&["no such value"], 5);
    assert!(nothing.to_dot().contains("12 nodes"));
    let everything = picture.around(&["x"], 11);
    assert_eq!(everything.to_dot(), picture.to_dot());
}

#[test]
fn a_picture_within_the_limit_is_whole() {
    let whole = Picture::of_graph(&chain(Picture::NODE_LIMIT - 2));
    for text in [whole.to_dot(), whole.to_mermaid()] {
        assert!(!text.contains("not shown"));
    }
    assert!(
        Picture::of_graph(&chain(Picture::NODE_LIMIT - 1))
            .to_dot()
            .contains("1 node is")
    );
}

#[test]
fn a_large_graph_is_cut_to_what_is_near_its_outputs() {
    let picture = Picture::of_graph(&chain(10_000));
    let (dot, mermaid) = (picture.to_dot(), picture.to_mermaid());
    // The input and the output besides the operations; of those, the last are shown.
    let hidden = 10_002 - Picture::NODE_LIMIT;
    let note = &hidden_note(hidden);
    assert!(dot.contains(note) && mermaid.contains(note));
    assert_eq!(count(&dot, ", shape="), Picture::NODE_LIMIT);
    assert_eq!(count(&mermaid, "style n"), Picture::NODE_LIMIT);
    assert_eq!(count(&dot, " -> "), Picture::NODE_LIMIT - 1);
    assert!(dot.contains("%10000\"") && dot.contains(&format!("%{hidden}\"")));
    assert!(!dot.contains(&format!("%{}\"", hidden - 1)));
    assert!(dot.len() < 50_000);
    // A neighbourhood that is still too large is cut again.
    let around = picture.around(&["%10000"], 5000).to_dot();
    assert!(around.contains(note));
}

#[test]
fn a_large_graph_without_outputs_is_cut_to_its_end() {
    let text = chain(1000).to_string().replace("    output %1000\n", "");
    let graph: Graph<ScalarOp> = text.parse().unwrap();
    let dot = Picture::of_graph(&graph).to_dot();
    assert_eq!(count(&dot, ", shape="), Picture::NODE_LIMIT);
    assert!(dot.contains("%1000\""));
}

#[test]
fn a_large_graph_of_many_outputs_is_cut_too() {
    let mut text = chain(1000).to_string().replace('}', "");
    for id in 0..1000 {
        text += &format!("    output %{id}\n");
    }
    let graph: Graph<ScalarOp> = format!("{text}}}").parse().unwrap();
    let dot = Picture::of_graph(&graph).to_dot();
    assert_eq!(count(&dot, ", shape="), Picture::NODE_LIMIT);
    assert!(dot.contains(&hidden_note(2002 - Picture::NODE_LIMIT)));
}

// What holds for all.

/// Every node that an edge names is there, once; every cluster is closed.
#[test]
fn random_pictures_are_well_formed() {
    let mut random = Random(8);
    for _ in 0..100 {
        let first = wild_problem(&mut random);
        let second = first.reverse(&vec![0.0; first.outputs.len()]);
        // The second problem's graph holds a transposed map already, filled like the new one.
        let transposed_before = second.roots.iter().flat_map(|root| with_parents([&**root]));
        let transposed_before: usize = transposed_before
            .filter(|graph| graph.kind() == GraphKind::Transposed)
            .map(|graph| graph.operations().len())
            .max()
            .unwrap_or(0);
        for (problem, transposed_before) in [(first, 0), (second, transposed_before)] {
            let linear = problem.linearize();
            let outputs: Vec<_> = problem.outputs.iter().flatten().cloned().collect();
            let flat = materialize_merge(&problem.view(), &outputs);
            let transposed = problem.transpose(&linear);
            let operations = transposed.as_graph().operations().len();
            for picture in [
                Picture::of_graph(&problem.roots[0]),
                Picture::of_program(&compile(&flat)),
                Picture::of_flat(&flat),
                linear.picture(),
                transposed.picture(),
                transposed.picture().around(&["mul"], 1),
            ] {
                check_dot(&picture.to_dot());
            }
            let dot = transposed.picture().to_dot();
            if !dot.contains("not shown") {
                assert_eq!(count(&dot, "#fde0c5"), transposed_before + operations);
            }
            assert_eq!(dot, problem.transpose(&linear).picture().to_dot());
        }
    }
}

fn check_dot(dot: &str) {
    let items = dot.lines().map(str::trim_start);
    let id = |text: &str| {
        text.strip_prefix('n')
            .and_then(|id| id.parse::<usize>().ok())
    };
    let (mut defined, mut used, mut open) = (Vec::new(), Vec::new(), 0_i32);
    for item in items {
        let words: Vec<&str> = item.splitn(4, ' ').collect();
        match words[..] {
            [from, "->", to, ..] => used.extend([id(from).unwrap(), id(to).unwrap()]),
            [node, label, ..] if id(node).is_some() && label.starts_with("[label=") => {
                defined.extend(id(node));
            }
            ["subgraph" | "digraph", ..] => open += 1,
            ["}"] => open -= 1,
            _ => {}
        }
    }
    assert_eq!(open, 0);
    assert!(defined.len() <= Picture::NODE_LIMIT);
    let mut once = defined.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), defined.len());
    assert!(used.iter().all(|id| defined.contains(id)), "{dot}");
}
