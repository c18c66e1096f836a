package command

// garbagePercent is how much garbage there may be beside what is in use, as GOGC says it, where reserve counts as in use, too:
// what is in use is small and lasts, so it is cheap to look through, but where it is very small that would be done too often.
const (
	garbagePercent = 30
	reserve        = 64 << 20 // bytes
)

// newReserve makes the reserve. It takes no memory: nobody touches it, and what Go has cleared of it, which is all of it if a
// part was in use before, is given back.
func newReserve() []byte {
	memory := make([]byte, reserve)
	giveBack(memory)
	return memory
}
