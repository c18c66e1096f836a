package clusters

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
)

// listed is what a store keeps of one object of a list.
type listed struct{ kept any }

func (listed) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

func (l listed) DeepCopyObject() runtime.Object { return l }

// keptList is a list as a Reflector takes it, of objects that were never all in memory.
type keptList struct {
	metav1.TypeMeta
	metav1.ListMeta
	Items []listed
}

// DeepCopyObject implements [runtime.Object].
func (l *keptList) DeepCopyObject() runtime.Object {
	copied := *l
	return &copied
}

// readList asks for all objects of a resource at once and takes them as they arrive. Of three thousand Services with their
// endpoints that is twice as fast as to have them sent as a watch's first events, which costs the API server an event for
// each, and needs no round trip for each page.
func readList(ctx context.Context, client rest.Interface, resource string, options metav1.ListOptions, example runtime.Object, store reflected) (*keptList, error) {
	options.Limit = 0
	body, err := client.Get().Resource(resource).VersionedParams(&options, metav1.ParameterCodec).Stream(ctx)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	found, err := decodeList(body, example, store.ignores(), store.item)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", resource, err)
	}
	return found, nil
}

// protobufPrefix begins what an API server sends as protobuf (k8s.io/apimachinery, pkg/runtime/serializer/protobuf).
const protobufPrefix = "k8s\x00"

// The fields of a runtime.Unknown and of a list that are read (generated.proto of k8s.io/apimachinery and k8s.io/api).
const (
	fieldRaw                  = 2
	fieldListMeta, fieldItems = 1, 2
)

// listDecoder makes a list of what is sent.
type listDecoder struct {
	// object is the one that each object of the list is decoded into.
	object message
	// ignored are the fields that keep has no use for.
	ignored fieldSet
	// keep must not hold on to the object, to its labels and annotations, or to the array of a slice's endpoints.
	keep func(any) listed
	list keptList
}

// decodeList reads a list to its end. A list that was cut off, or that is none, is an error and never a shorter list.
func decodeList(body io.Reader, example runtime.Object, ignored fieldSet, keep func(any) listed) (*keptList, error) {
	d := &listDecoder{object: example.DeepCopyObject().(message), ignored: ignored, keep: keep}
	// Each read of an HTTP/2 body may cost a frame that allows the server to send as much again.
	reader := bufio.NewReaderSize(body, 1<<16)
	prefix, err := reader.Peek(len(protobufPrefix))
	if err != nil {
		return nil, unexpected(err)
	}
	if string(prefix) == protobufPrefix {
		err = d.protobuf(&fieldReader{Reader: reader})
	} else {
		err = d.whole(reader)
	}
	if err == nil && d.list.ResourceVersion == "" {
		err = errors.New("the answer has no resourceVersion")
	}
	return &d.list, err
}

// protobuf decodes a list that is wrapped as the API server wraps all objects.
func (d *listDecoder) protobuf(reader *fieldReader) error {
	if err := reader.skip(len(protobufPrefix)); err != nil {
		return err
	}
	for {
		field, length, err := reader.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if field == fieldRaw {
			err = d.fields(reader, reader.offset+length)
		} else {
			err = reader.skip(length)
		}
		if err != nil {
			return unexpected(err)
		}
	}
}

// fields decodes those of a list, which ends at an offset.
func (d *listDecoder) fields(reader *fieldReader, end int) error {
	for reader.offset < end {
		field, length, err := reader.next()
		if err != nil {
			return err
		}
		if length > end-reader.offset {
			return io.ErrUnexpectedEOF
		}
		data, err := reader.take(length)
		if err != nil {
			return err
		}
		switch field {
		case fieldListMeta:
			err = d.list.ListMeta.Unmarshal(data)
		case fieldItems:
			err = d.item(data)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *listDecoder) item(data []byte) error {
	data, err := d.ignored.prune(data)
	if err != nil {
		return err
	}
	d.reset()
	if err := d.object.Unmarshal(data); err != nil {
		return err
	}
	d.list.Items = append(d.list.Items, d.keep(d.object))
	return nil
}

// reset empties the object, and lets the next one have its maps and endpoints: to make them anew for each would be a third
// of what a list allocates.
func (d *listDecoder) reset() {
	meta := d.object.(metav1.Object)
	labels, annotations := meta.GetLabels(), meta.GetAnnotations()
	clear(labels)
	clear(annotations)
	slice, isSlice := d.object.(*discoveryv1.EndpointSlice)
	var endpoints []discoveryv1.Endpoint
	if isSlice {
		endpoints = slice.Endpoints
	}
	d.object.Reset()
	meta.SetLabels(labels)
	meta.SetAnnotations(annotations)
	if isSlice {
		slice.Endpoints = endpoints[:0]
	}
}

// whole is for API servers, and what stands before them, that don't speak protobuf.
func (d *listDecoder) whole(reader io.Reader) error {
	body, err := io.ReadAll(reader)
	if err != nil {
		return err
	}
	whole, err := runtime.Decode(scheme.Codecs.UniversalDeserializer(), body)
	if err != nil {
		return err
	}
	accessor, err := meta.ListAccessor(whole)
	if err != nil {
		return err
	}
	d.list.ResourceVersion = accessor.GetResourceVersion()
	return meta.EachListItem(whole, func(object runtime.Object) error {
		d.list.Items = append(d.list.Items, d.keep(object))
		return nil
	})
}

// fieldReader reads protobuf fields that have a length, which all those of lists have.
type fieldReader struct {
	*bufio.Reader
	// offset is how much was read.
	offset int
	// large holds a value that is larger than the reader's buffer.
	large []byte
}

// next reads the number of a field and the length of its value. At the end of all it gives io.EOF.
func (r *fieldReader) next() (field protowire.Number, length int, err error) {
	tag, err := binary.ReadUvarint(r)
	if err != nil {
		return 0, 0, err
	}
	field, kind := protowire.DecodeTag(tag)
	if kind != protowire.BytesType {
		return 0, 0, fmt.Errorf("protobuf: field %d has no length", field)
	}
	size, err := binary.ReadUvarint(r)
	if err != nil {
		return 0, 0, unexpected(err)
	}
	if size > math.MaxInt32 {
		return 0, 0, fmt.Errorf("protobuf: field %d is longer than any may be", field)
	}
	return field, int(size), nil
}

// ReadByte implements [io.ByteReader].
func (r *fieldReader) ReadByte() (byte, error) {
	b, err := r.Reader.ReadByte()
	if err == nil {
		r.offset++
	}
	return b, err
}

func (r *fieldReader) skip(length int) error {
	skipped, err := r.Discard(length)
	r.offset += skipped
	return err
}

// maxTaken is how many bytes an object may have, as for client-go's watches.
const maxTaken = 16 << 20

// take reads a value, which is valid until the next is read.
func (r *fieldReader) take(length int) ([]byte, error) {
	if length > maxTaken {
		return nil, fmt.Errorf("an object of %d bytes is too large", length)
	}
	if length <= r.Size() {
		value, err := r.Peek(length)
		if err != nil {
			return nil, err
		}
		return value, r.skip(length)
	}
	r.large = slices.Grow(r.large[:0], length)[:length]
	read, err := io.ReadFull(r.Reader, r.large)
	r.offset += read
	return r.large, err
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
