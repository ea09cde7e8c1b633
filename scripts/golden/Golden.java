import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.ControlRecordType;
import org.apache.kafka.common.record.EndTransactionMarker;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.MemoryRecordsBuilder;
import org.apache.kafka.common.record.RecordBatch;
import org.apache.kafka.common.record.TimestampType;

/** Writes the record sets with the classes that Apache Kafka's own producer and broker use. */
public final class Golden {
    private static final long APPEND_MS = 1_700_000_100_000L;
    private static final int BUFFER_BYTES = 1 << 20;
    private static Path out;

    public static void main(String[] arguments) throws Exception {
        out = Path.of(arguments[0]);
        Object[][] codecs = {
            {"none", Compression.NONE},
            {"gzip", Compression.gzip().build()},
            {"snappy", Compression.snappy().build()},
            {"lz4", Compression.lz4().build()},
            {"zstd", Compression.zstd().build()},
        };
        for (String set : new String[] {"small", "large"}) {
            for (Object[] codec : codecs) {
                if (!(set.equals("large") && codec[0].equals("none"))) {
                    write(set + "-" + codec[0], build(set, plain((Compression) codec[1])));
                }
            }
        }
        levels();
        flags();
        markers();
    }

    /** Levels that change the frame: more history in zstd, the high compressor in LZ4. */
    private static void levels() throws Exception {
        write("large-zstd-22", build("large", plain(Compression.zstd().level(22).build())));
        write("large-lz4-17", build("large", plain(Compression.lz4().level(17).build())));
        write("large-gzip-1", build("large", plain(Compression.gzip().level(1).build())));
    }

    private static void flags() throws Exception {
        write("small-none-idempotent", build("small", stamped(TimestampType.CREATE_TIME, false)));
        write("small-none-transactional", build("small", stamped(TimestampType.CREATE_TIME, true)));
        write("small-none-append-time", build("small", stamped(TimestampType.LOG_APPEND_TIME, false)));
    }

    private static void markers() throws Exception {
        for (ControlRecordType type : new ControlRecordType[] {ControlRecordType.COMMIT, ControlRecordType.ABORT}) {
            MemoryRecords marker = MemoryRecords.withEndTransactionMarker(
                0, APPEND_MS, RecordBatch.NO_PARTITION_LEADER_EPOCH, 4001, (short) 2, new EndTransactionMarker(type, 31));
            write("marker-" + type.name().toLowerCase(), marker);
        }
    }

    private static MemoryRecordsBuilder plain(Compression compression) {
        return MemoryRecords.builder(ByteBuffer.allocate(BUFFER_BYTES), RecordBatch.CURRENT_MAGIC_VALUE, compression,
            TimestampType.CREATE_TIME, 0L);
    }

    private static MemoryRecordsBuilder stamped(TimestampType type, boolean transactional) {
        return MemoryRecords.builder(ByteBuffer.allocate(BUFFER_BYTES), RecordBatch.CURRENT_MAGIC_VALUE, Compression.NONE,
            type, 0L, APPEND_MS, 4001L, (short) 2, 17, transactional, RecordBatch.NO_PARTITION_LEADER_EPOCH);
    }

    private static MemoryRecords build(String set, MemoryRecordsBuilder builder) throws Exception {
        for (String line : Files.readAllLines(out.resolve(set + ".tsv"))) {
            String[] fields = line.split("\t", -1);
            builder.append(Long.parseLong(fields[0]), bytes(fields[1]), bytes(fields[2]), headers(fields[3]));
        }
        return builder.build();
    }

    private static byte[] bytes(String text) {
        return text.equals("-") ? null : HexFormat.of().parseHex(text);
    }

    private static Header[] headers(String text) {
        String[] pairs = text.isEmpty() ? new String[0] : text.split(";", -1);
        Header[] headers = new Header[pairs.length];
        for (int index = 0; index < pairs.length; index++) {
            String[] pair = pairs[index].split("=", -1);
            headers[index] = new RecordHeader(new String(bytes(pair[0]), StandardCharsets.UTF_8), bytes(pair[1]));
        }
        return headers;
    }

    private static void write(String name, MemoryRecords records) throws Exception {
        ByteBuffer buffer = records.buffer();
        byte[] batch = new byte[buffer.remaining()];
        buffer.get(batch);
        Files.write(out.resolve("java-" + name + ".bin"), batch);
    }
}
