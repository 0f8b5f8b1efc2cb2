"""Gradient descent with Polyak's and Nesterov's momentum: each update repeats a fraction of the last."""

from dataclasses import dataclass

from torch import Tensor

from sgdlab.optim.rule import Hyper, LookAheadRule, Rule, State, like


@dataclass(frozen=True, kw_only=True)
class Polyak(Rule):
    """The heavy-ball method: a gradient step plus a fraction of the last update.

    Along a narrow valley the updates add up; across it they cancel. On a quadratic of condition number k, the
    best lr and momentum give the rate (sqrt k - 1)/(sqrt k + 1); gradient descent has (k - 1)/(k + 1).

        symbols   a_t: lr, b: momentum
        state     w_{-1} = w_0
        update    w_{t+1} = w_t - a_t g(w_t) + b (w_t - w_{t-1})

    lr: change of a weight per unit of gradient. momentum in [0, 1): the fraction of the last update.

    torch.optim.SGD sums gradients and multiplies the sum by the newest lr, so a change of lr rescales past
    updates, too; here it does not. With a constant lr both have the same iterates. On a convex function that
    is not quadratic, the method may cycle forever (Lessard, Recht, Packard 2016, section 4.6).
    Polyak 1964, "Some methods of speeding up the convergence of iteration methods", equation 9.
    """

    lr: Hyper = 0.01
    momentum: Hyper = 0.9

    def init(self, w: Tensor) -> State:
        return {"previous": w.clone()}

    def update(self, g: Tensor, state: State, w: Tensor) -> tuple[Tensor, State]:
        move = like(self.momentum, w) * (w - state["previous"])
        return w - like(self.lr, w) * g + move, {"previous": w.clone()}


@dataclass(frozen=True, kw_only=True)
class Nesterov(LookAheadRule):
    """Nesterov's accelerated gradient: a fraction of the last update, then a gradient step from there.

    The gradient ahead corrects an update that would overshoot. On smooth convex functions the method has the
    best rate of all first-order methods.

        symbols   a_t: lr, b: momentum
        state     w_{-1} = w_0
        update    y_t = w_t + b (w_t - w_{t-1})
                  w_{t+1} = y_t - a_t g(y_t)

    lr: change of a weight per unit of gradient. momentum in [0, 1): the fraction of the last update.

    The loss that comes with the gradient is that of y_t. The weights of torch.optim.SGD(nesterov=True) are
    y_t, and with a constant lr the sequence is the same; after a change of lr, torch rescales past updates,
    and this rule does not.
    Nesterov 1983, "A method of solving a convex programming problem with convergence rate O(1/k^2)";
    Sutskever, Martens, Dahl, Hinton 2013, equations 3 and 4.
    """

    lr: Hyper = 0.01
    momentum: Hyper = 0.9

    def init(self, w: Tensor) -> State:
        return {"previous": w.clone()}

    def point(self, state: State, w: Tensor) -> Tensor:
        return w + like(self.momentum, w) * (w - state["previous"])

    def update(self, g: Tensor, state: State, w: Tensor) -> tuple[Tensor, State]:
        return self.point(state, w) - like(self.lr, w) * g, {"previous": w.clone()}
