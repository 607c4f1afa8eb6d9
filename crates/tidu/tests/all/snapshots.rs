//! The derivatives of every scalar primitive and of small functions, for people to review.
//!
//! Each snapshot holds three graphs, cause before effect: the primal, the linear map of its tangents,
//! and the transposed map of cotangents. What to look for: residuals (is more saved than the maths
//! needs?), one `~` a product, k - 1 additions for a fan-out of k, `zero` only where no path leads.
//! Nothing is blessed that the mathematics does not agree with: see `support/review.rs`.

use std::sync::Arc;

use insta::assert_snapshot;
use tidu::graph::{Graph, ValueKey};
use tidu::scalar::ScalarOp;

use crate::support::{Problem, reviewed};

/// A function as text, at a point, with the inputs to differentiate by.
fn problem<const N: usize>(text: &str, wrt: [&str; N], point: &[(&str, f64)]) -> Problem<ScalarOp> {
    let graph: Graph<ScalarOp> = text.parse().expect("the text is a graph");
    let outputs = graph.outputs().iter();
    let outputs = outputs.map(|&id| graph.values()[id].key.clone()).collect();
    let point = point
        .iter()
        .map(|&(name, value)| (ValueKey::Input(name.into()), value));
    Problem::new(vec![Arc::new(graph)], outputs, Vec::new(), point.collect()).wrt(wrt)
}

// Primitives.

/// y = 2.5
#[test]
fn constant() {
    let problem = problem(
        "graph {
            input %0 = x
            %1 = const 2.5
            output %1
        }",
        ["x"],
        &[("x", 0.7)],
    );
    assert_snapshot!(reviewed(&problem), @"
    graph {
        input %0 = x
        %1 = const 2.5
        output %1
    }
    linear {
        input %0 = d1.x
        output zero -> d.out0
    }
    linear {
        output zero -> x
    }
    ");
}

/// y = a + b
#[test]
fn add() {
    let problem = problem(
        "graph {
            input %0 = a
            input %1 = b
            %2 = add %0, %1
            output %2
        }",
        ["a", "b"],
        &[("a", 0.7), ("b", -1.3)],
    );
    assert_snapshot!(reviewed(&problem), @"
    graph {
        input %0 = a
        input %1 = b
        %2 = add %0, %1
        output %2
    }
    linear {
        input %0 = d1.a
        input %1 = d1.b
        %2 = add ~%0, ~%1
        output %2 -> d.out0
    }
    linear {
        input %0 = ct0.d1.a
        output %0 -> a
        output %0 -> b
    }
    ");
}

/// y = a - b
#[test]
fn sub() {
    let problem = problem(
        "graph {
            input %0 = a
            input %1 = b
            %2 = sub %0, %1
            output %2
        }",
        ["a", "b"],
        &[("a", 0.7), ("b", -1.3)],
    );
    assert_snapshot!(reviewed(&problem), @"
    graph {
        input %0 = a
        input %1 = b
        %2 = sub %0, %1
        output %2
    }
    linear {
        input %0 = d1.a
        input %1 = d1.b
        %2 = sub ~%0, ~%1
        output %2 -> d.out0
    }
    linear {
        input %0 = ct0.d1.a
        %1 = neg ~%0
        output %0 -> a
        output %1 -> b
    }
    ");
}

/// y = a·b
#[test]
fn mul() {
    let problem = problem(
        "graph {
            input %0 = a
            input %1 = b
            %2 = mul %0, %1
            output %2
        }",
        ["a", "b"],
        &[("a", 0.7), ("b", -1.3)],
    );
    assert_snapshot!(reviewed(&problem), @"
    graph {
        input %0 = a
        input %1 = b
        %2 = mul %0, %1
        output %2
    }
    linear {
        residual @b
        residual @a
        input %0 = d1.a
        input %1 = d1.b
        %2 = mul ~%0, @b
        %3 = mul @a, ~%1
        %4 = add ~%2, ~%3
        output %4 -> d.out0
    }
    linear {
        residual @a
        residual @b
        input %0 = ct0.d1.a
        %1 = mul @a, ~%0
        %2 = mul @b, ~%0
        output %2 -> a
        output %1 -> b
    }
    ");
}

/// y = a / b
#[test]
fn div() {
    let problem = problem(
        "graph {
            input %0 = a
            input %1 = b
            %2 = div %0, %1
            output %2
        }",
        ["a", "b"],
        &[("a", 0.7), ("b", -1.3)],
    );
    assert_snapshot!(reviewed(&problem), @"
    graph {
        input %0 = a
        input %1 = b
        %2 = div %0, %1
        output %2
    }
    linear {
        residual @0 = div @a, @b
        residual @b
        input %0 = d1.a
        input %1 = d1.b
        %2 = mul @0, ~%1
        %3 = sub ~%0, ~%2
        %4 = div ~%3, @b
        output %4 -> d.out0
    }
    linear {
        residual @b
        residual @0 = div @a, @b
        input %0 = ct0.d1.a
        %1 = div ~%0, @b
        %2 = neg ~%1
        %3 = mul @0, ~%2
        output %1 -> a
        output %3 -> b
    }
    ");
}

/// y = -x
#[test]
fn neg() {
    let problem = problem(
        "graph {
            input %0 = x
            %1 = neg %0
            output %1
        }",
        ["x"],
        &[("x", 0.7)],
    );
    assert_snapshot!(reviewed(&problem), @"
    graph {
        input %0 = x
        %1 = neg %0
        output %1
    }
    linear {
        input %0 = d1.x
        %1 = neg ~%0
        output %1 -> d.out0
    }
    linear {
        input %0 = ct0.d1.x
        %1 = neg ~%0
        output %1 -> x
    }
    ");
}

/// y = eˣ
#[test]
fn exp() {
    let problem = problem(
        "graph {
            input %0 = x
            %1 = exp %0
            output %1
        }",
        ["x"],
        &[("x", 0.7)],
    );
    assert_snapshot!(reviewed(&problem), @"
    graph {
        input %0 = x
        %1 = exp %0
        output %1
    }
    linear {
        residual @0 = exp @x
        input %0 = d1.x
        %1 = mul @0, ~%0
        output %1 -> d.out0
    }
    linear {
        residual @0 = exp @x
        input %0 = ct0.d1.x
        %1 = mul @0, ~%0
        output %1 -> x
    }
    ");
}

/// y = ln x
#[test]
fn ln() {
    let problem = problem(
        "graph {
            input %0 = x
            %1 = ln %0
            output %1
        }",
        ["x"],
        &[("x", 0.7)],
    );
    assert_snapshot!(reviewed(&problem), @"
    graph {
        input %0 = x
        %1 = ln %0
        output %1
    }
    linear {
        residual @x
        input %0 = d1.x
        %1 = div ~%0, @x
        output %1 -> d.out0
    }
    linear {
        residual @x
        input %0 = ct0.d1.x
        %1 = div ~%0, @x
        output %1 -> x
    }
    ");
}

/// y = sin x
#[test]
fn sin() {
    let problem = problem(
        "graph {
            input %0 = x
            %1 = sin %0
            output %1
        }",
        ["x"],
        &[("x", 0.7)],
    );
    assert_snapshot!(reviewed(&problem), @"
    graph {
        input %0 = x
        %1 = sin %0
        output %1
    }
    linear {
        residual @x
        input %0 = d1.x
        %1 = fixed cos @x
        %2 = mul %1, ~%0
        output %2 -> d.out0
    }
    linear {
        residual @0 = fixed cos @x
        input %0 = ct0.d1.x
        %1 = mul @0, ~%0
        output %1 -> x
    }
    ");
}

/// y = cos x
#[test]
fn cos() {
    let problem = problem(
        "graph {
            input %0 = x
            %1 = cos %0
            output %1
        }",
        ["x"],
        &[("x", 0.7)],
    );
    assert_snapshot!(reviewed(&problem), @"
    graph {
        input %0 = x
        %1 = cos %0
        output %1
    }
    linear {
        residual @x
        input %0 = d1.x
        %1 = fixed sin @x
        %2 = mul %1, ~%0
        %3 = neg ~%2
        output %3 -> d.out0
    }
    linear {
        residual @0 = fixed sin @x
        input %0 = ct0.d1.x
        %1 = neg ~%0
        %2 = mul @0, ~%1
        output %2 -> x
    }
    ");
}

/// (s, c) = (sin x, cos x)
#[test]
fn sin_cos() {
    let problem = problem(
        "graph {
            input %0 = x
            %1, %2 = sin_cos %0
            output %1
            output %2
        }",
        ["x"],
        &[("x", 0.7)],
    );
    assert_snapshot!(reviewed(&problem), @"
    graph {
        input %0 = x
        %1, %2 = sin_cos %0
        output %1
        output %2
    }
    linear {
        residual @0, @1 = sin_cos @x
        input %0 = d1.x
        %1 = mul @1, ~%0
        %2 = mul @0, ~%0
        %3 = neg ~%2
        output %1 -> d.out0
        output %3 -> d.out1
    }
    linear {
        residual @0, @1 = sin_cos @x
        input %0 = ct0.d1.x
        input %1 = ct1.d1.x
        %2 = neg ~%1
        %3 = mul @0, ~%2
        %4 = mul @1, ~%0
        %5 = add ~%3, ~%4
        output %5 -> x
    }
    ");
}

/// y = a - b, by b alone
#[test]
fn sub_by_its_second_operand() {
    let problem = problem(
        "graph {
            input %0 = a
            input %1 = b
            %2 = sub %0, %1
            output %2
        }",
        ["b"],
        &[("a", 0.7), ("b", -1.3)],
    );
    assert_snapshot!(reviewed(&problem), @"
    graph {
        input %0 = a
        input %1 = b
        %2 = sub %0, %1
        output %2
    }
    linear {
        input %0 = d1.b
        %1 = neg ~%0
        output %1 -> d.out0
    }
    linear {
        input %0 = ct0.d1.b
        %1 = neg ~%0
        output %1 -> b
    }
    ");
}

/// y = a·b, by a alone
#[test]
fn mul_by_its_first_operand() {
    let problem = problem(
        "graph {
            input %0 = a
            input %1 = b
            %2 = mul %0, %1
            output %2
        }",
        ["a"],
        &[("a", 0.7), ("b", -1.3)],
    );
    assert_snapshot!(reviewed(&problem), @"
    graph {
        input %0 = a
        input %1 = b
        %2 = mul %0, %1
        output %2
    }
    linear {
        residual @b
        input %0 = d1.a
        %1 = mul ~%0, @b
        output %1 -> d.out0
    }
    linear {
        residual @b
        input %0 = ct0.d1.a
        %1 = mul @b, ~%0
        output %1 -> a
    }
    ");
}

/// y = a / b, by a alone: the quotient is not needed
#[test]
fn div_by_its_first_operand() {
    let problem = problem(
        "graph {
            input %0 = a
            input %1 = b
            %2 = div %0, %1
            output %2
        }",
        ["a"],
        &[("a", 0.7), ("b", -1.3)],
    );
    assert_snapshot!(reviewed(&problem), @"
    graph {
        input %0 = a
        input %1 = b
        %2 = div %0, %1
        output %2
    }
    linear {
        residual @b
        input %0 = d1.a
        %1 = div ~%0, @b
        output %1 -> d.out0
    }
    linear {
        residual @b
        input %0 = ct0.d1.a
        %1 = div ~%0, @b
        output %1 -> a
    }
    ");
}

/// y = a / b, by b alone
#[test]
fn div_by_its_second_operand() {
    let problem = problem(
        "graph {
            input %0 = a
            input %1 = b
            %2 = div %0, %1
            output %2
        }",
        ["b"],
        &[("a", 0.7), ("b", -1.3)],
    );
    assert_snapshot!(reviewed(&problem), @"
    graph {
        input %0 = a
        input %1 = b
        %2 = div %0, %1
        output %2
    }
    linear {
        residual @0 = div @a, @b
        residual @b
        input %0 = d1.b
        %1 = mul @0, ~%0
        %2 = neg ~%1
        %3 = div ~%2, @b
        output %3 -> d.out0
    }
    linear {
        residual @b
        residual @0 = div @a, @b
        input %0 = ct0.d1.b
        %1 = div ~%0, @b
        %2 = neg ~%1
        %3 = mul @0, ~%2
        output %3 -> b
    }
    ");
}

// Functions.

/// u = sin x is used three times, so two additions bring its cotangents together
#[test]
fn fan_out() {
    let problem = problem(
        "graph {
            input %0 = x
            input %1 = a
            %2 = sin %0
            %3 = mul %2, %1
            %4 = exp %2
            %5 = neg %2
            output %3
            output %4
            output %5
        }",
        ["x"],
        &[("x", 0.7), ("a", 1.3)],
    );
    assert_snapshot!(reviewed(&problem), @"
    graph {
        input %0 = x
        input %1 = a
        %2 = sin %0
        %3 = mul %2, %1
        %4 = exp %2
        %5 = neg %2
        output %3
        output %4
        output %5
    }
    linear {
        residual @x
        residual @a
        external @0 = sin @x
        residual @1 = exp @0
        input %0 = d1.x
        %1 = fixed cos @x
        %2 = mul %1, ~%0
        %3 = mul ~%2, @a
        %4 = mul @1, ~%2
        %5 = neg ~%2
        output %3 -> d.out0
        output %4 -> d.out1
        output %5 -> d.out2
    }
    linear {
        external @0 = sin @x
        residual @1 = exp @0
        residual @a
        residual @2 = fixed cos @x
        input %0 = ct0.d1.x
        input %1 = ct1.d1.x
        input %2 = ct2.d1.x
        %3 = neg ~%2
        %4 = mul @1, ~%1
        %5 = add ~%3, ~%4
        %6 = mul @a, ~%0
        %7 = add ~%5, ~%6
        %8 = mul @2, ~%7
        output %8 -> x
    }
    ");
}

/// y = x·x
#[test]
fn repeated_operand() {
    let problem = problem(
        "graph {
            input %0 = x
            %1 = mul %0, %0
            output %1
        }",
        ["x"],
        &[("x", 0.7)],
    );
    assert_snapshot!(reviewed(&problem), @"
    graph {
        input %0 = x
        %1 = mul %0, %0
        output %1
    }
    linear {
        residual @x
        input %0 = d1.x
        %1 = mul ~%0, @x
        %2 = mul @x, ~%0
        %3 = add ~%1, ~%2
        output %3 -> d.out0
    }
    linear {
        residual @x
        input %0 = ct0.d1.x
        %1 = mul @x, ~%0
        %2 = mul @x, ~%0
        %3 = add ~%1, ~%2
        output %3 -> x
    }
    ");
}

/// (x + c, x + d): both seeds reach x
#[test]
fn outputs_that_share_a_tangent() {
    let problem = problem(
        "graph {
            input %0 = x
            input %1 = c
            input %2 = d
            %3 = add %0, %1
            %4 = add %0, %2
            output %3
            output %4
        }",
        ["x"],
        &[("x", 0.7), ("c", 0.2), ("d", -0.4)],
    );
    assert_snapshot!(reviewed(&problem), @"
    graph {
        input %0 = x
        input %1 = c
        input %2 = d
        %3 = add %0, %1
        %4 = add %0, %2
        output %3
        output %4
    }
    linear {
        input %0 = d1.x
        output %0 -> d.out0
        output %0 -> d.out1
    }
    linear {
        input %0 = ct0.d1.x
        input %1 = ct1.d1.x
        %2 = add ~%0, ~%1
        output %2 -> x
    }
    ");
}

/// (y, y) with y = eˣ
#[test]
fn repeated_output() {
    let problem = problem(
        "graph {
            input %0 = x
            %1 = exp %0
            output %1
            output %1
        }",
        ["x"],
        &[("x", 0.7)],
    );
    assert_snapshot!(reviewed(&problem), @"
    graph {
        input %0 = x
        %1 = exp %0
        output %1
        output %1
    }
    linear {
        residual @0 = exp @x
        input %0 = d1.x
        %1 = mul @0, ~%0
        output %1 -> d.out0
        output %1 -> d.out1
    }
    linear {
        residual @0 = exp @x
        input %0 = ct0.d1.x
        input %1 = ct1.d1.x
        %2 = add ~%0, ~%1
        %3 = mul @0, ~%2
        output %3 -> x
    }
    ");
}

/// (x, x·y, y)
#[test]
fn output_that_is_an_input() {
    let problem = problem(
        "graph {
            input %0 = x
            input %1 = y
            %2 = mul %0, %1
            output %0
            output %2
            output %1
        }",
        ["x", "y"],
        &[("x", 0.7), ("y", -1.3)],
    );
    assert_snapshot!(reviewed(&problem), @"
    graph {
        input %0 = x
        input %1 = y
        %2 = mul %0, %1
        output %0
        output %2
        output %1
    }
    linear {
        residual @y
        residual @x
        input %0 = d1.x
        input %1 = d1.y
        %2 = mul ~%0, @y
        %3 = mul @x, ~%1
        %4 = add ~%2, ~%3
        output %0 -> d.out0
        output %4 -> d.out1
        output %1 -> d.out2
    }
    linear {
        residual @x
        residual @y
        input %0 = ct0.d1.x
        input %1 = ct1.d1.x
        input %2 = ct2.d1.x
        %3 = mul @x, ~%1
        %4 = add ~%2, ~%3
        %5 = mul @y, ~%1
        %6 = add ~%0, ~%5
        output %6 -> x
        output %4 -> y
    }
    ");
}

/// y = sin a, by a and b
#[test]
fn unused_input() {
    let problem = problem(
        "graph {
            input %0 = a
            input %1 = b
            %2 = sin %0
            output %2
        }",
        ["b", "a"],
        &[("a", 0.7), ("b", -1.3)],
    );
    assert_snapshot!(reviewed(&problem), @"
    graph {
        input %0 = a
        input %1 = b
        %2 = sin %0
        output %2
    }
    linear {
        residual @a
        input %0 = d1.b
        input %1 = d1.a
        %2 = fixed cos @a
        %3 = mul %2, ~%1
        output %3 -> d.out0
    }
    linear {
        residual @0 = fixed cos @a
        input %0 = ct0.d1.b
        %1 = mul @0, ~%0
        output zero -> b
        output %1 -> a
    }
    ");
}

/// (sin b, a), by a: the first is a constant
#[test]
fn output_without_a_path() {
    let problem = problem(
        "graph {
            input %0 = a
            input %1 = b
            %2 = sin %1
            %3 = exp %0
            output %2
            output %3
        }",
        ["a"],
        &[("a", 0.7), ("b", -1.3)],
    );
    assert_snapshot!(reviewed(&problem), @"
    graph {
        input %0 = a
        input %1 = b
        %2 = sin %1
        %3 = exp %0
        output %2
        output %3
    }
    linear {
        residual @0 = exp @a
        input %0 = d1.a
        %1 = mul @0, ~%0
        output zero -> d.out0
        output %1 -> d.out1
    }
    linear {
        residual @0 = exp @a
        input %0 = ct0.d1.a
        %1 = mul @0, ~%0
        output %1 -> a
    }
    ");
}

/// y = 3·x² - x + 2
#[test]
fn polynomial_with_constants() {
    let problem = problem(
        "graph {
            input %0 = x
            %1 = const 3.0
            %2 = const 2.0
            %3 = mul %0, %0
            %4 = mul %1, %3
            %5 = sub %4, %0
            %6 = add %5, %2
            output %6
        }",
        ["x"],
        &[("x", 0.7)],
    );
    assert_snapshot!(reviewed(&problem), @"
    graph {
        input %0 = x
        %1 = const 3.0
        %2 = const 2.0
        %3 = mul %0, %0
        %4 = mul %1, %3
        %5 = sub %4, %0
        %6 = add %5, %2
        output %6
    }
    linear {
        residual @x
        residual @0 = const 3.0
        input %0 = d1.x
        %1 = mul ~%0, @x
        %2 = mul @x, ~%0
        %3 = add ~%1, ~%2
        %4 = mul @0, ~%3
        %5 = sub ~%4, ~%0
        output %5 -> d.out0
    }
    linear {
        residual @0 = const 3.0
        residual @x
        input %0 = ct0.d1.x
        %1 = neg ~%0
        %2 = mul @0, ~%0
        %3 = mul @x, ~%2
        %4 = add ~%1, ~%3
        %5 = mul @x, ~%2
        %6 = add ~%4, ~%5
        output %6 -> x
    }
    ");
}

/// y = x·cos x: a rule does not know which of its results are needed, so the tangent of the sine is
/// emitted, too
#[test]
fn one_of_two_results() {
    let problem = problem(
        "graph {
            input %0 = x
            %1, %2 = sin_cos %0
            %3 = mul %0, %2
            output %3
        }",
        ["x"],
        &[("x", 0.7)],
    );
    assert_snapshot!(reviewed(&problem), @"
    graph {
        input %0 = x
        %1, %2 = sin_cos %0
        %3 = mul %0, %2
        output %3
    }
    linear {
        residual @0, @1 = sin_cos @x
        residual @x
        input %0 = d1.x
        %1 = mul @1, ~%0
        %2 = mul @0, ~%0
        %3 = neg ~%2
        %4 = mul ~%0, @1
        %5 = mul @x, ~%3
        %6 = add ~%4, ~%5
        output %6 -> d.out0
    }
    linear {
        residual @x
        residual @0, @1 = sin_cos @x
        input %0 = ct0.d1.x
        %1 = mul @x, ~%0
        %2 = mul @1, ~%0
        %3 = neg ~%1
        %4 = mul @0, ~%3
        %5 = add ~%2, ~%4
        output %5 -> x
    }
    ");
}

/// u = eˣ, y = sin u · cos u
#[test]
fn diamond() {
    let problem = problem(
        "graph {
            input %0 = x
            %1 = exp %0
            %2 = sin %1
            %3 = cos %1
            %4 = mul %2, %3
            output %4
        }",
        ["x"],
        &[("x", -0.3)],
    );
    assert_snapshot!(reviewed(&problem), @"
    graph {
        input %0 = x
        %1 = exp %0
        %2 = sin %1
        %3 = cos %1
        %4 = mul %2, %3
        output %4
    }
    linear {
        residual @0 = exp @x
        residual @1 = cos @0
        residual @2 = sin @0
        input %0 = d1.x
        %1 = mul @0, ~%0
        %2 = fixed cos @0
        %3 = mul %2, ~%1
        %4 = fixed sin @0
        %5 = mul %4, ~%1
        %6 = neg ~%5
        %7 = mul ~%3, @1
        %8 = mul @2, ~%6
        %9 = add ~%7, ~%8
        output %9 -> d.out0
    }
    linear {
        residual @0 = exp @x
        residual @1 = sin @0
        residual @2 = cos @0
        residual @3 = fixed sin @0
        residual @4 = fixed cos @0
        input %0 = ct0.d1.x
        %1 = mul @1, ~%0
        %2 = mul @2, ~%0
        %3 = neg ~%1
        %4 = mul @3, ~%3
        %5 = mul @4, ~%2
        %6 = add ~%4, ~%5
        %7 = mul @0, ~%6
        output %7 -> x
    }
    ");
}

/// y = exp(x²)·sin x
#[test]
fn exp_of_square_times_sine() {
    let problem = problem(
        "graph {
            input %0 = x
            %1 = mul %0, %0
            %2 = exp %1
            %3 = sin %0
            %4 = mul %2, %3
            output %4
        }",
        ["x"],
        &[("x", 0.7)],
    );
    assert_snapshot!(reviewed(&problem), @"
    graph {
        input %0 = x
        %1 = mul %0, %0
        %2 = exp %1
        %3 = sin %0
        %4 = mul %2, %3
        output %4
    }
    linear {
        residual @x
        external @0 = mul @x, @x
        residual @1 = exp @0
        residual @2 = sin @x
        input %0 = d1.x
        %1 = mul ~%0, @x
        %2 = mul @x, ~%0
        %3 = add ~%1, ~%2
        %4 = mul @1, ~%3
        %5 = fixed cos @x
        %6 = mul %5, ~%0
        %7 = mul ~%4, @2
        %8 = mul @1, ~%6
        %9 = add ~%7, ~%8
        output %9 -> d.out0
    }
    linear {
        external @0 = mul @x, @x
        residual @1 = exp @0
        residual @2 = sin @x
        residual @3 = fixed cos @x
        residual @x
        input %0 = ct0.d1.x
        %1 = mul @1, ~%0
        %2 = mul @2, ~%0
        %3 = mul @3, ~%1
        %4 = mul @1, ~%2
        %5 = mul @x, ~%4
        %6 = add ~%3, ~%5
        %7 = mul @x, ~%4
        %8 = add ~%6, ~%7
        output %8 -> x
    }
    ");
}

/// y = (a + b) / (a·b)
#[test]
fn quotient() {
    let problem = problem(
        "graph {
            input %0 = a
            input %1 = b
            %2 = add %0, %1
            %3 = mul %0, %1
            %4 = div %2, %3
            output %4
        }",
        ["a", "b"],
        &[("a", 0.7), ("b", -1.3)],
    );
    assert_snapshot!(reviewed(&problem), @"
    graph {
        input %0 = a
        input %1 = b
        %2 = add %0, %1
        %3 = mul %0, %1
        %4 = div %2, %3
        output %4
    }
    linear {
        residual @b
        residual @a
        residual @0 = mul @a, @b
        external @1 = add @a, @b
        residual @2 = div @1, @0
        input %0 = d1.a
        input %1 = d1.b
        %2 = add ~%0, ~%1
        %3 = mul ~%0, @b
        %4 = mul @a, ~%1
        %5 = add ~%3, ~%4
        %6 = mul @2, ~%5
        %7 = sub ~%2, ~%6
        %8 = div ~%7, @0
        output %8 -> d.out0
    }
    linear {
        residual @0 = mul @a, @b
        external @1 = add @a, @b
        residual @2 = div @1, @0
        residual @a
        residual @b
        input %0 = ct0.d1.a
        %1 = div ~%0, @0
        %2 = neg ~%1
        %3 = mul @2, ~%2
        %4 = mul @a, ~%3
        %5 = mul @b, ~%3
        %6 = add ~%5, ~%1
        %7 = add ~%4, ~%1
        output %6 -> a
        output %7 -> b
    }
    ");
}

/// y = (x·e) + (x·e), the product written twice: linearized once
#[test]
fn equal_operations() {
    let problem = problem(
        "graph {
            input %0 = x
            %1 = exp %0
            %2 = mul %0, %1
            %3 = mul %0, %1
            %4 = add %2, %3
            output %4
        }",
        ["x"],
        &[("x", 0.7)],
    );
    assert_snapshot!(reviewed(&problem), @"
    graph {
        input %0 = x
        %1 = exp %0
        %2 = mul %0, %1
        %3 = mul %0, %1
        %4 = add %2, %3
        output %4
    }
    linear {
        residual @0 = exp @x
        residual @x
        input %0 = d1.x
        %1 = mul @0, ~%0
        %2 = mul ~%0, @0
        %3 = mul @x, ~%1
        %4 = add ~%2, ~%3
        %5 = add ~%4, ~%4
        output %5 -> d.out0
    }
    linear {
        residual @x
        residual @0 = exp @x
        input %0 = ct0.d1.x
        %1 = add ~%0, ~%0
        %2 = mul @x, ~%1
        %3 = mul @0, ~%1
        %4 = mul @0, ~%2
        %5 = add ~%3, ~%4
        output %5 -> x
    }
    ");
}

// Derivatives of derivatives, where the primal is the graph of the derivative before.

/// The gradient of y = x·eʸ, linearized: the product of the Hessian with a vector
#[test]
fn forward_over_reverse() {
    let problem = problem(
        "graph {
            input %0 = x
            input %1 = y
            %2 = exp %1
            %3 = mul %0, %2
            output %3
        }",
        ["x", "y"],
        &[("x", 0.7), ("y", -0.3)],
    );
    assert_snapshot!(reviewed(&problem.reverse(&[1.0])), @"
    graph {
        external @x
        external @0 = exp @y
        input %0 = ct0.d1.x
        %1 = mul @x, ~%0
        %2 = mul @0, ~%0
        %3 = mul @0, ~%1
        output %2
        output %3
    }
    linear {
        residual @0 = exp @y
        residual @ct0.d1.x
        residual @1 = mul @x, ~@ct0.d1.x
        input %0 = d2.x
        input %1 = d2.y
        %2 = mul @0, ~%1
        %3 = mul ~%2, @ct0.d1.x
        %4 = mul ~%0, @ct0.d1.x
        %5 = mul ~%2, @1
        %6 = mul @0, ~%4
        %7 = add ~%5, ~%6
        output %3 -> d.out0
        output %7 -> d.out1
    }
    linear {
        residual @0 = exp @y
        residual @1 = mul @x, ~@ct0.d1.x
        residual @ct0.d1.x
        input %0 = ct0.d2.x
        input %1 = ct1.d2.x
        %2 = mul @0, ~%1
        %3 = mul @1, ~%1
        %4 = mul @ct0.d1.x, ~%2
        %5 = mul @ct0.d1.x, ~%0
        %6 = add ~%3, ~%5
        %7 = mul @0, ~%6
        output %4 -> x
        output %7 -> y
    }
    ");
}

/// The tangent of y = x·eʸ, linearized by x and y
#[test]
fn reverse_over_forward() {
    let problem = problem(
        "graph {
            input %0 = x
            input %1 = y
            %2 = exp %1
            %3 = mul %0, %2
            output %3
        }",
        ["x", "y"],
        &[("x", 0.7), ("y", -0.3)],
    );
    assert_snapshot!(reviewed(&problem.forward(&[1.5, -0.5])), @"
    graph {
        external @0 = exp @y
        external @x
        input %0 = d1.x
        input %1 = d1.y
        %2 = mul @0, ~%1
        %3 = mul ~%0, @0
        %4 = mul @x, ~%2
        %5 = add ~%3, ~%4
        output %5
    }
    linear {
        residual @0 = exp @y
        residual @d1.x
        residual @d1.y
        residual @1 = mul @0, ~@d1.y
        residual @x
        input %0 = d2.x
        input %1 = d2.y
        %2 = mul @0, ~%1
        %3 = mul @d1.x, ~%2
        %4 = mul ~%2, @d1.y
        %5 = mul ~%0, @1
        %6 = mul @x, ~%4
        %7 = add ~%5, ~%6
        %8 = add ~%3, ~%7
        output %8 -> d.out0
    }
    linear {
        residual @x
        residual @0 = exp @y
        residual @1 = mul @0, ~@d1.y
        residual @d1.y
        residual @d1.x
        input %0 = ct0.d2.x
        %1 = mul @x, ~%0
        %2 = mul @1, ~%0
        %3 = mul @d1.y, ~%1
        %4 = mul @d1.x, ~%0
        %5 = add ~%3, ~%4
        %6 = mul @0, ~%5
        output %2 -> x
        output %6 -> y
    }
    ");
}

/// The gradient of y = sin x, whose coefficient is computed in the linear map, linearized
#[test]
fn sine_over_reverse() {
    let problem = problem(
        "graph {
            input %0 = x
            %1 = sin %0
            output %1
        }",
        ["x"],
        &[("x", 0.7)],
    );
    assert_snapshot!(reviewed(&problem.reverse(&[1.0])), @"
    graph {
        external @0 = fixed cos @x
        input %0 = ct0.d1.x
        %1 = mul @0, ~%0
        output %1
    }
    linear {
        residual @x
        residual @ct0.d1.x
        input %0 = d2.x
        %1 = fixed sin @x
        %2 = mul %1, ~%0
        %3 = neg ~%2
        %4 = mul ~%3, @ct0.d1.x
        output %4 -> d.out0
    }
    linear {
        residual @ct0.d1.x
        residual @0 = fixed sin @x
        input %0 = ct0.d2.x
        %1 = mul @ct0.d1.x, ~%0
        %2 = neg ~%1
        %3 = mul @0, ~%2
        output %3 -> x
    }
    ");
}

/// y = x³, differentiated backward twice and then again
#[test]
fn third_order() {
    let problem = problem(
        "graph {
            input %0 = x
            %1 = mul %0, %0
            %2 = mul %1, %0
            output %2
        }",
        ["x"],
        &[("x", 0.7)],
    );
    assert_snapshot!(reviewed(&problem.reverse(&[1.0]).reverse(&[1.0])), @"
    graph {
        external @x
        external @0 = mul @x, ~@ct0.d1.x
        external @ct0.d1.x
        input %0 = ct0.d2.x
        %1 = add ~%0, ~%0
        %2 = mul @x, ~%1
        %3 = mul @0, ~%1
        %4 = mul @ct0.d1.x, ~%2
        %5 = add ~%3, ~%4
        %6 = mul @ct0.d1.x, ~%0
        %7 = mul @x, ~%6
        %8 = add ~%5, ~%7
        %9 = mul @x, ~%6
        %10 = add ~%8, ~%9
        output %10
    }
    linear {
        residual @ct0.d1.x
        residual @0 = add ~@ct0.d2.x, ~@ct0.d2.x
        residual @1 = mul @ct0.d1.x, ~@ct0.d2.x
        input %0 = d3.x
        %1 = mul ~%0, @ct0.d1.x
        %2 = mul ~%1, @0
        %3 = mul ~%0, @0
        %4 = mul @ct0.d1.x, ~%3
        %5 = add ~%2, ~%4
        %6 = mul ~%0, @1
        %7 = add ~%5, ~%6
        %8 = add ~%7, ~%6
        output %8 -> d.out0
    }
    linear {
        residual @0 = mul @ct0.d1.x, ~@ct0.d2.x
        residual @ct0.d1.x
        residual @1 = add ~@ct0.d2.x, ~@ct0.d2.x
        input %0 = ct0.d3.x
        %1 = add ~%0, ~%0
        %2 = mul @0, ~%1
        %3 = mul @ct0.d1.x, ~%0
        %4 = mul @1, ~%3
        %5 = add ~%2, ~%4
        %6 = mul @1, ~%0
        %7 = mul @ct0.d1.x, ~%6
        %8 = add ~%5, ~%7
        output %8 -> x
    }
    ");
}
