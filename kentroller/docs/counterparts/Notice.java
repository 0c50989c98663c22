// The notice of the tutorial with the Java Operator SDK: in a project one file for each class.
package org.example;

// count: imports
import io.fabric8.crd.generator.annotation.PrinterColumn;
import io.fabric8.generator.annotation.Required;
import io.fabric8.generator.annotation.Size;
import io.fabric8.kubernetes.api.model.Condition;
import io.fabric8.kubernetes.api.model.ConditionBuilder;
import io.fabric8.kubernetes.api.model.ConfigMap;
import io.fabric8.kubernetes.api.model.ConfigMapBuilder;
import io.fabric8.kubernetes.client.CustomResource;
import io.fabric8.kubernetes.client.KubernetesClient;
import io.fabric8.kubernetes.client.KubernetesClientException;
import io.fabric8.kubernetes.model.annotation.Group;
import io.fabric8.kubernetes.model.annotation.ShortNames;
import io.fabric8.kubernetes.model.annotation.Version;
import io.javaoperatorsdk.operator.api.config.informer.InformerEventSourceConfiguration;
import io.javaoperatorsdk.operator.api.reconciler.Context;
import io.javaoperatorsdk.operator.api.reconciler.ControllerConfiguration;
import io.javaoperatorsdk.operator.api.reconciler.EventSourceContext;
import io.javaoperatorsdk.operator.api.reconciler.Reconciler;
import io.javaoperatorsdk.operator.api.reconciler.UpdateControl;
import io.javaoperatorsdk.operator.processing.event.source.EventSource;
import io.javaoperatorsdk.operator.processing.event.source.informer.InformerEventSource;
import io.micrometer.core.instrument.Counter;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

// count: kind

/** A text that should be seen until a time. */
@Group("example.org")
@Version("v1")
@ShortNames("nt")
class Notice extends CustomResource<NoticeSpec, NoticeStatus> {
}

class NoticeSpec {
  /** What should be seen. */
  @Required
  @Size(min = 1, max = 200)
  @PrinterColumn(name = "Text")
  public String text;
  /** Until when; for ever, if it is absent. */
  public String until;
}

/** What became of a notice. */
class NoticeStatus {
  /** What the notice is and is not, for machines. */
  public List<Condition> conditions = new ArrayList<>();
  /** The generation that this status judges. */
  public Long observedGeneration;
}

// count: controller

/** Keeps a ConfigMap for each notice until its time is over. */
@ControllerConfiguration
class NoticeReconciler implements Reconciler<Notice> {
  private static final String NAMESPACE = "default";
  private final Counter textsShown;

  NoticeReconciler(Counter textsShown) {
    this.textsShown = textsShown;
  }

  @Override
  public List<EventSource<?, Notice>> prepareEventSources(EventSourceContext<Notice> context) {
    var maps = InformerEventSourceConfiguration.from(ConfigMap.class, Notice.class).build();
    return List.of(new InformerEventSource<>(maps, context));
  }

  @Override
  public UpdateControl<Notice> reconcile(Notice notice, Context<Notice> context) {
    KubernetesClient client = context.getClient();
    Instant now = Instant.now();
    Instant until = notice.getSpec().until == null ? null : Instant.parse(notice.getSpec().until);
    boolean over = until != null && !until.isAfter(now);
    String name = notice.getMetadata().getName();
    ConfigMap old = context.getSecondaryResource(ConfigMap.class).orElse(null);
    boolean shown = old != null;
    if (over && shown) {
      client.resource(old).lockResourceVersion(old.getMetadata().getResourceVersion()).delete();
      say(client, notice, "Normal", "Over", "the text was taken down");
    } else if (!over && !shown) {
      ConfigMap map = new ConfigMapBuilder().withNewMetadata().withName(name).withNamespace(NAMESPACE).endMetadata()
          .withData(Map.of("text", notice.getSpec().text)).build();
      map.addOwnerReference(notice);
      try {
        client.resource(map).create();
      } catch (KubernetesClientException error) {
        say(client, notice, "Warning", "Refused", "no ConfigMap: " + error.getMessage());
        throw error;
      }
      say(client, notice, "Normal", "Shown", "the text is shown");
      textsShown.increment();
    }
    return report(notice, shown, over, now, until);
  }

  private UpdateControl<Notice> report(Notice notice, boolean shown, boolean over, Instant now, Instant until) {
    NoticeStatus before = notice.getStatus() == null ? new NoticeStatus() : notice.getStatus();
    NoticeStatus status = new NoticeStatus();
    Long generation = notice.getMetadata().getGeneration();
    status.observedGeneration = generation;
    status.conditions = List.of(
        condition(before, "Shown", shown, "Seen", "Whether the ConfigMap is there.", generation, now),
        condition(before, "Ready", over != shown, over ? "Over" : "Wanted", "", generation, now));
    boolean same = generation.equals(before.observedGeneration) && status.conditions.equals(before.conditions);
    notice.setStatus(status);
    UpdateControl<Notice> control = same ? UpdateControl.noUpdate() : UpdateControl.patchStatus(notice);
    return until == null || over ? control : control.rescheduleAfter(Duration.between(now, until));
  }

  private static Condition condition(NoticeStatus before, String type, boolean holds, String reason, String message,
      Long generation, Instant now) {
    String status = holds ? "True" : "False";
    String since = before.conditions.stream().filter(one -> one.getType().equals(type) && one.getStatus().equals(status))
        .map(Condition::getLastTransitionTime).findFirst().orElse(now.toString());
    return new ConditionBuilder().withType(type).withStatus(status).withReason(reason).withMessage(message)
        .withObservedGeneration(generation).withLastTransitionTime(since).build();
  }

  private static void say(KubernetesClient client, Notice notice, String type, String reason, String message) {
    String now = Instant.now().toString();
    client.v1().events().inNamespace(NAMESPACE).resource(new io.fabric8.kubernetes.api.model.EventBuilder()
        .withNewMetadata().withGenerateName(notice.getMetadata().getName() + "-").withNamespace(NAMESPACE).endMetadata()
        .withNewInvolvedObject().withApiVersion(notice.getApiVersion()).withKind(notice.getKind())
        .withName(notice.getMetadata().getName()).withUid(notice.getMetadata().getUid()).endInvolvedObject()
        .withType(type).withReason(reason).withMessage(message).withFirstTimestamp(now).withLastTimestamp(now)
        .withCount(1).withNewSource().withComponent("notices").endSource().build()).create();
  }
}
