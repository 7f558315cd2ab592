"""The program of section 7.3 of the notes, line by line, in Python."""

from layerloop import (
    Adam,
    Chain,
    DataLoader,
    Dense,
    accuracy,
    crossentropy,
    data,
    ncycle,
    onecold,
    sigmoid,
    softmax,
    throttle,
    train,
)

Xtrain, ytrain = data.load("mnist")
Xtest, ytest = data.load("mnist", "test")

m = Chain(Dense(28**2, 32, sigmoid), Dense(32, 10), softmax)
print(m)
print("accuracy before training:", accuracy(m, Xtest, ytest))

loader = DataLoader((Xtrain, ytrain), batchsize=128, shuffle=True)


def evalcb() -> None:
    print("accuracy(Xtest, ytest) =", accuracy(m, Xtest, ytest))


history = train(m, ncycle(loader, 20), loss=crossentropy, optimizer=Adam(), callbacks=[throttle(evalcb, 2)])
print("accuracy after", round(history.seconds, 2), "s:", accuracy(m, Xtest, ytest))

print("predicted:", onecold(m(Xtest[0]), range(10)), " label:", ytest[0])
