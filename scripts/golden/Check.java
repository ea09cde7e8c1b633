import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Stream;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.record.MemoryRecords;
import org.apache.kafka.common.record.MutableRecordBatch;
import org.apache.kafka.common.record.Record;

/** Reads our batches with the classes of Apache Kafka's own client and compares them with the record set. */
public final class Check {
    public static void main(String[] arguments) throws Exception {
        List<String> meant = Files.readAllLines(Path.of(arguments[0]));
        try (Stream<Path> files = Files.list(Path.of(arguments[1]))) {
            for (Path file : files.sorted().toList()) {
                if (!read(file).equals(meant)) {
                    throw new AssertionError(file + ": Kafka's client reads other records than were written");
                }
                System.out.println("java reads " + file.getFileName());
            }
        }
    }

    private static List<String> read(Path file) throws Exception {
        List<String> lines = new ArrayList<>();
        for (MutableRecordBatch batch : MemoryRecords.readableRecords(ByteBuffer.wrap(Files.readAllBytes(file))).batches()) {
            batch.ensureValid();
            for (Record record : batch) {
                lines.add(line(record));
            }
        }
        return lines;
    }

    private static String line(Record record) {
        List<String> headers = new ArrayList<>();
        for (Header header : record.headers()) {
            headers.add(HexFormat.of().formatHex(header.key().getBytes(java.nio.charset.StandardCharsets.UTF_8))
                + "=" + text(header.value() == null ? null : ByteBuffer.wrap(header.value())));
        }
        return record.timestamp() + "\t" + text(record.key()) + "\t" + text(record.value()) + "\t"
            + String.join(";", headers);
    }

    private static String text(ByteBuffer field) {
        if (field == null) {
            return "-";
        }
        byte[] bytes = new byte[field.remaining()];
        field.duplicate().get(bytes);
        return HexFormat.of().formatHex(bytes);
    }
}
