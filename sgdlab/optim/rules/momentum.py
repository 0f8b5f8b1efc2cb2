"""Gradient descent with momentum as Polyak and Nesterov wrote it: the last move is repeated in part."""

from dataclasses import dataclass

from torch import Tensor

from sgdlab.optim.rule import Hyper, LookAheadRule, Rule, State, like


@dataclass(frozen=True, kw_only=True)
class Polyak(Rule):
    """The heavy-ball method: a gradient step from where one is, and a share of the last move.

    Along a narrow valley the moves add up, across it they cancel: on a quadratic of condition number k the
    best lr and momentum make the rate (sqrt k - 1)/(sqrt k + 1), where gradient descent has (k - 1)/(k + 1).

        symbols   a_t: lr, b: momentum
        state     w_{-1} = w_0
        update    w_{t+1} = w_t - a_t g(w_t) + b (w_t - w_{t-1})

    lr: change of a weight per unit of gradient. momentum in [0, 1): the share of the last move.

    torch.optim.SGD sums gradients and multiplies the sum by the newest lr, so that a change of lr rescales
    the moves of the past too; here it does not. With a constant lr both have the same iterates. On a convex
    function that is no quadratic the method may cycle for ever (Lessard, Recht, Packard 2016, section 4.6).
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
    """Nesterov's accelerated gradient: the share of the last move first, then the gradient from there.

    A gradient that looks ahead corrects a move that leads too far before it is made. On smooth convex
    functions this has the best rate that a method of gradients can have.

        symbols   a_t: lr, b: momentum
        state     w_{-1} = w_0
        update    y_t = w_t + b (w_t - w_{t-1})
                  w_{t+1} = y_t - a_t g(y_t)

    lr: change of a weight per unit of gradient. momentum in [0, 1): the share of the last move.

    A loss that is evaluated with the gradient is that of y_t. torch.optim.SGD(nesterov=True) has y_t for
    its weights and, with a constant lr, the same sequence of them; after a change of lr it rescales the moves
    of the past, which are not rescaled here.
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
