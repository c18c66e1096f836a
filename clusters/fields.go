package clusters

import (
	"encoding/binary"

	"google.golang.org/protobuf/encoding/protowire"
)

// fieldSet is some fields of a protobuf message, each with some of the message that it holds; nil stands for all of it.
type fieldSet map[protowire.Number]fieldSet

// The fields that are named below (generated.proto of k8s.io/apimachinery and k8s.io/api).
const (
	fieldMetadata      = 1
	fieldManagedFields = 17

	fieldEndpoints          = 2
	fieldAddresses          = 1
	fieldTargetRef          = 4
	fieldDeprecatedTopology = 5
	fieldNodeName           = 6
	fieldZone               = 7
	fieldHints              = 8
)

var (
	// bookkeeping is what nobody reads of any object.
	bookkeeping = fieldSet{fieldMetadata: {fieldManagedFields: nil}}
	// place is what ties the endpoints of an EndpointSlice to their own cluster, and bookkeeping.
	place = fieldSet{
		fieldMetadata:  bookkeeping[fieldMetadata],
		fieldEndpoints: {fieldTargetRef: nil, fieldDeprecatedTopology: nil, fieldNodeName: nil, fieldZone: nil, fieldHints: nil},
	}
)

// prune takes the fields out of a message, which it overwrites. A slice of pods is decoded with half the allocations
// without its place. What is cut off, or is no message, is an error.
func (f fieldSet) prune(message []byte) ([]byte, error) {
	end := 0
	for rest := message; len(rest) > 0; {
		number, kind, tag := protowire.ConsumeTag(rest)
		if tag < 0 {
			return nil, protowire.ParseError(tag)
		}
		length := protowire.ConsumeFieldValue(number, kind, rest[tag:])
		if length < 0 {
			return nil, protowire.ParseError(length)
		}
		field := rest[:tag+length]
		rest = rest[len(field):]
		inner, named := f[number]
		switch {
		case !named:
			end += copy(message[end:], field)
		case inner != nil && kind == protowire.BytesType:
			value, _ := protowire.ConsumeBytes(field[tag:])
			value, err := inner.prune(value)
			if err != nil {
				return nil, err
			}
			// A shorter value's length takes no more bytes than it did.
			end += copy(message[end:], field[:tag])
			end += binary.PutUvarint(message[end:], uint64(len(value)))
			end += copy(message[end:], value)
		}
	}
	return message[:end], nil
}
