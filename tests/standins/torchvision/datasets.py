"""Names only."""


class CIFAR10: ...


class CIFAR100: ...


class STL10: ...
