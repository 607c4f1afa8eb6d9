"""One measurement of a Python library: `measure.py LIBRARY STAGE WORKLOAD SIZE` prints nanoseconds and
bytes per operation, as the Rust program `measure` does. Without a workload it prints the version."""

import os
import sys
import time

# One thread, as for everybody else; must be said before the libraries are loaded.
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"
os.environ["XLA_FLAGS"] = (
    "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)
os.environ["JAX_PLATFORMS"] = "cpu"

import numpy as np

sys.setrecursionlimit(10_000_000)

ENOUGH = 0.6
AT_MOST = 2_000


def memory(name):
    """A line of /proc/self/status in bytes."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    return 0


def forget_peak():
    """From here on, VmHWM is the peak since here."""
    try:
        with open("/proc/self/clear_refs", "w") as refs:
            refs.write("5")
    except OSError:
        pass


def measure(operations, body, calls=1):
    """The median of what can be repeated in a short time; memory of the first time."""
    forget_peak()
    before = memory("VmRSS:")
    started = time.perf_counter()
    times = []
    grown = 0
    while not times or (
        time.perf_counter() - started < ENOUGH and len(times) < AT_MOST
    ):
        start, processor = time.perf_counter(), time.process_time()
        result = body()
        # By the wall if nobody else was running, by the processor if somebody was.
        processor = time.process_time() - processor
        times.append(min(time.perf_counter() - start, processor))
        if len(times) == 1:
            grown = memory("VmHWM:") - before
        del result
    times.sort()
    print(1e9 * times[len(times) // 2] / (operations * calls), grown / operations)


# The workloads, for any library whose values have operators.


class Library:
    """sin, cos, exp and sqrt of one library."""

    def __init__(self, module):
        self.sin, self.cos = module.sin, module.cos
        self.exp, self.sqrt = module.exp, module.sqrt


def chain_point(size):
    return [0.3, 1e-6]


def chain(library, size, x):
    v = x[0]
    for _ in range(size // 3):
        v = v + x[1] * library.sin(v)
    return v


def wide_point(size):
    return [0.01 + 0.1 * (i % 7) for i in range(size // 5)]


def wide(library, size, x):
    count = size // 5
    s = 0.0
    for i in range(count):
        s = s + library.exp(-(x[i] * x[i])) * x[(i + 1) % count]
    return s


WORKLOADS = {"chain": (chain, chain_point), "wide": (wide, wide_point)}


# Sparse programs: a list of outputs each.


def rosenbrock_point(size):
    return [-1.2 if i % 2 == 0 else 1.0 for i in range(size)]


def rosenbrock(library, size, x):
    total = 0.0
    for i in range(size - 1):
        off = x[i + 1] - x[i] * x[i]
        rest = 1.0 - x[i]
        total = total + 100.0 * (off * off)
        total = total + rest * rest
    return [total]


def arrowhead_point(size):
    return [0.2 + 0.1 * (i % 7) for i in range(size)]


def arrowhead(library, size, x):
    total = 0.0
    for i in range(size - 1):
        total = total + library.cos(x[i] * x[size - 1])
    return [total]


def bratu_point(side):
    h = 1.0 / (side + 1)
    point = []
    for row in range(side):
        for column in range(side):
            a, b = (column + 1) * h, (row + 1) * h
            point.append(2.0 * a * (1.0 - a) * b * (1.0 - b) - 0.1 * a * a)
    return point


def bratu(library, side, u):
    load = 5.0 / ((side + 1) * (side + 1))
    residuals = []
    for row in range(side):
        for column in range(side):
            at = side * row + column
            residual = 4.0 * u[at]
            if row > 0:
                residual = residual - u[at - side]
            if column > 0:
                residual = residual - u[at - 1]
            if column + 1 < side:
                residual = residual - u[at + 1]
            if row + 1 < side:
                residual = residual - u[at + side]
            residuals.append(residual - load * library.exp(u[at]))
    return residuals


def clnlbeam_point(steps):
    angles = [0.05 * np.cos(i / steps) for i in range(steps + 1)]
    return angles + angles + [0.01] * (steps + 1)


def clnlbeam(library, steps, v):
    half, alpha = 0.5 / steps, 350.0
    t, x, u = v[: steps + 1], v[steps + 1 : 2 * steps + 2], v[2 * steps + 2 :]
    squares = [value * value for value in u]
    cosines = [library.cos(value) for value in t]
    sines = [library.sin(value) for value in t]
    cost = 0.0
    for i in range(steps):
        cost = cost + half * (squares[i + 1] + squares[i])
        cost = cost + alpha * half * (cosines[i + 1] + cosines[i])
    outputs = [cost]
    for of, by in ((x, sines), (t, u)):
        for i in range(steps):
            outputs.append(of[i + 1] - of[i] - half * (by[i + 1] + by[i]))
    return outputs


SPARSE = {
    "rosenbrock": (rosenbrock, rosenbrock_point),
    "arrowhead": (arrowhead, arrowhead_point),
    "bratu": (bratu, bratu_point),
    "clnlbeam": (clnlbeam, clnlbeam_point),
}


def dot(x, y):
    return x[0] * y[0] + x[1] * y[1] + x[2] * y[2]


def residual(library, x, pixel):
    """Two residuals of bundle adjustment, from 15 parameters."""
    r, c, f, p, k, point, w = x[0:3], x[3:6], x[6], x[7:9], x[9:11], x[11:14], x[14]
    y = [point[i] - c[i] for i in range(3)]
    angle = library.sqrt(dot(r, r))
    sin, cos = library.sin(angle), library.cos(angle)
    a = [r[i] / angle for i in range(3)]
    along = dot(a, y) * (1.0 - cos)
    z = []
    for i in range(3):
        j, l = (i + 1) % 3, (i + 2) % 3
        z.append(y[i] * cos + (a[j] * y[l] - a[l] * y[j]) * sin + a[i] * along)
    u = [z[0] / z[2], z[1] / z[2]]
    radius = u[0] * u[0] + u[1] * u[1]
    scale = 1.0 + k[0] * radius + k[1] * (radius * radius)
    return [w * (u[i] * scale * f + p[i] - pixel[i]) for i in range(2)]


def observations(count):
    """Cameras that look at points in front of them, 17 numbers each."""
    centre = [0.3, -0.2, 0.1, 0, 0, 0, 600, 320, 240, 0, 0, 0, 0, 6, 1, 320, 240]
    width = [0.2, 0.1, 0.3, 1, 1, 1, 100, 20, 20, 0.1, 0.01, 1, 1, 1, 0.5, 300, 200]
    unit = np.random.default_rng(1).uniform(-1.0, 1.0, (count, 17))
    return np.array(centre) + np.array(width) * unit


# CasADi: expression graphs of scalars, and a virtual machine that runs them.


def casadi_evaluation(function, *inputs):
    """A call without any conversion by Python."""
    buffer, run = function.buffer()
    results = []
    for at, values in enumerate(inputs):
        buffer.set_arg(at, memoryview(values))
    for at in range(function.n_out()):
        results.append(np.zeros(function.nnz_out(at)))
        buffer.set_res(at, memoryview(results[-1]))
    keep = (buffer, results, inputs)

    def body():
        run()
        return keep

    return body


def casadi(stage, workload, size):
    import casadi as ca

    library = Library(ca)
    if stage == "jacobian":
        x, pixel = ca.SX.sym("x", 15), ca.SX.sym("m", 2)
        value = ca.vertcat(*residual(library, [x[i] for i in range(15)], [pixel[0], pixel[1]]))
        one = ca.Function("one", [x, pixel], [value, ca.jacobian(value, x)])
        many = one.map(size)
        points = observations(size)
        parameters = np.ascontiguousarray(points[:, :15]).ravel()
        pixels = np.ascontiguousarray(points[:, 15:]).ravel()
        return measure(size, casadi_evaluation(many, parameters, pixels))
    if stage.startswith("sparse-"):
        return casadi_sparse(ca, library, stage, workload, size)
    write, point = WORKLOADS[workload]
    point = np.array(point(size))
    x = ca.SX.sym("x", len(point))
    value = write(library, size, ca.vertsplit(x))

    def derive():
        return ca.Function("f", [x], [value, ca.gradient(value, x)])

    if stage == "derive-scalar":
        return measure(size, derive)
    if stage == "evaluate-scalar":
        return measure(size, casadi_evaluation(derive(), point))
    return None


def casadi_sparse(ca, library, stage, workload, size):
    """Jacobian, and lower triangle of the Hessian of the Lagrangian."""
    write, point = SPARSE[workload]
    point = np.array(point(size))
    x = ca.SX.sym("x", len(point))
    value = ca.vertcat(*write(library, size, ca.vertsplit(x)))
    factors = ca.SX.sym("l", value.numel())

    def derive():
        lagrangian = ca.dot(factors, value)
        hessian = ca.tril(ca.hessian(lagrangian, x)[0])
        return (
            ca.Function("j", [x], [ca.jacobian(value, x)]),
            ca.Function("h", [x, factors], [hessian]),
        )

    if stage == "sparse-derive":
        return measure(len(point), derive)
    if stage == "sparse-evaluate":
        jacobian, hessian = derive()
        first = casadi_evaluation(jacobian, point)
        second = casadi_evaluation(hessian, point, np.full(value.numel(), 0.5))
        return measure(len(point), lambda: (first(), second()))
    return None


def jax(stage, workload, size):
    if hasattr(os, "sched_setaffinity"):
        # Its options do not keep all of it in one thread.
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    import jax as library

    library.config.update("jax_enable_x64", True)
    jnp = library.numpy
    if stage == "jacobian":

        def one(x, pixel):
            return jnp.stack(residual(Library(jnp), x, pixel))

        def both(x, pixel):
            return one(x, pixel), library.jacrev(one)(x, pixel)

        run = library.jit(library.vmap(both))
        points = jnp.array(observations(size))
        parameters, pixels = points[:, :15], points[:, 15:]
        library.block_until_ready(run(parameters, pixels))
        return measure(
            size, lambda: library.block_until_ready(run(parameters, pixels))
        )
    write, point = WORKLOADS[workload]
    point = [float(x) for x in point(size)]

    def gradient():
        """A new one each time, since what is known already is not traced again."""

        def function(*x):
            return write(Library(jnp), size, x)

        return library.value_and_grad(function, tuple(range(len(point))))

    if stage == "derive":
        return measure(size, lambda: library.make_jaxpr(gradient())(*point))
    if stage == "evaluate-scalar":
        run = library.jit(gradient())
        library.block_until_ready(run(*point))
        return measure(size, lambda: library.block_until_ready(run(*point)))
    return None


def torch(stage, workload, size):
    import torch as library

    library.set_num_threads(1)
    if workload == "network":
        return measure(size, training(library, size))
    if stage != "tape":
        return None
    write, point = WORKLOADS[workload]
    point = point(size)

    def body():
        x = [
            library.tensor(value, dtype=library.float64, requires_grad=True)
            for value in point
        ]
        value = write(Library(library), size, x)
        value.backward()
        return [input.grad for input in x]

    return measure(size, body)


def training(library, rows):
    """A step of gradient descent, as `peers/src/network.rs` has it."""
    random = np.random.default_rng(1)

    def draw(scale, *shape):
        return library.tensor(scale * random.uniform(-1.0, 1.0, shape))

    examples = draw(1.0, rows, 11)
    labels = library.arange(rows) % 3
    zeros = [library.zeros(1, width, dtype=library.float64) for width in (32, 3)]
    parameters = [draw(0.3, 11, 32), zeros[0], draw(0.3, 32, 3), zeros[1]]
    for parameter in parameters:
        parameter.requires_grad_()

    def body():
        first, shift, second, end = parameters
        scores = library.tanh(examples @ first + shift) @ second + end
        loss = library.nn.functional.cross_entropy(scores, labels)
        loss.backward()
        with library.no_grad():
            for parameter in parameters:
                parameter -= 0.1 * parameter.grad
                parameter.grad = None
        return loss.item()

    return body


LIBRARIES = {"casadi": casadi, "jax": jax, "torch": torch}

if __name__ == "__main__":
    if len(sys.argv) == 2:
        print(__import__(sys.argv[1]).__version__)
    else:
        library, stage, workload, size = sys.argv[1:]
        LIBRARIES[library](stage, workload, int(size))
        # Expressions of a million nodes take long to be taken down.
        sys.stdout.flush()
        os._exit(0)
